// What an exception ends in that nobody catches. The C++ library's own handler prints its name, and brings the
// demangler for that: 50 KB of an executable that needs no library.
#include <cstdlib>

#if defined(OVENBIRD_STATIC_CLI) && defined(__GLIBCXX__)
namespace __gnu_cxx {
void __verbose_terminate_handler() { std::abort(); }
} // namespace __gnu_cxx
#endif
