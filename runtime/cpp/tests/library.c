/* The smallest library that uses all that the loader knows: each kind of relocation, names from outside, weak ones, the
 * pointers that it fills, constants that are relocated. ci/steps/fuzz.sh builds where fuzzing of `elf` begins. */
#include <stddef.h>

extern void *memcpy(void *to, const void *from, size_t bytes);
extern int TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int count);
extern int unknown(void) __attribute__((weak));

void *__TVMBackendParallelLaunch, *__TVMBackendAllocWorkspace, *__TVMBackendFreeWorkspace;
static const char *const parts[] = {"a", "b"};        /* relative */
void *(*const copy)(void *, const void *, size_t) = memcpy; /* absolute */
int number = 7;

int __tvm_ffi_main(char *to, const char *from, size_t bytes) {
    copy(to, from, bytes);
    memcpy(to + bytes, &number, sizeof number); /* a jump slot, and data by the table of places */
    if (unknown && unknown()) return TVMFFIErrorSetRaisedFromCStrParts(parts[0], (const char **)parts, 2);
    return 0;
}
