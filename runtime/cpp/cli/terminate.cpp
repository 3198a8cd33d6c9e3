// What an exception ends in that nobody catches. The C++ library's own handler prints its name, and brings the
// demangler for that: 50 KB of an executable that needs no library.
#include <cstdlib>

#if defined(OVENBIRD_STATIC_CLI) && defined(__GLIBCXX__)
namespace __gnu_cxx {
void __verbose_terminate_handler() { std::abort(); }
} // namespace __gnu_cxx
#endif

#ifdef _LIBCPP_VERSION
// Nor libc++'s, which takes names apart to print them: 100 KB.
extern "C" char *__cxa_demangle(const char *, char *, size_t *, int *status) {
    if (status) *status = -1;
    return nullptr;
}
#endif
