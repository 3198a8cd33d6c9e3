// libFuzzer on one kind of file: FUZZ_KIND=plan ovenbird-fuzz FOLDER -runs=100000 (ci/steps/fuzz.sh does all kinds).
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *kind = std::getenv("FUZZ_KIND");
    if (!kind) std::abort();
    read_hostile(kind, std::string_view(reinterpret_cast<const char *>(data), size));
    return 0;
}
