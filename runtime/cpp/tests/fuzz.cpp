// A libFuzzer target: cmake -DOVENBIRD_FUZZERS=ON -DCMAKE_CXX_COMPILER=clang++, then fuzz-plan FOLDER.
#include <cstddef>
#include <cstdint>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_hostile(FUZZ_KIND, std::string_view(reinterpret_cast<const char *>(data), size));
    return 0;
}
