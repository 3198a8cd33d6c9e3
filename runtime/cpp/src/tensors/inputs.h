// What a caller gives for a program's inputs, checked and made what the network takes
// (`ovenbird_runtime/engine/inputs.py`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "artifact/program.h"

namespace ob {

// Bytes at a multiple of 64, of our own; throws OutOfMemory.
class AlignedBytes {
  public:
    AlignedBytes() = default;
    explicit AlignedBytes(size_t bytes);
    unsigned char *data() const { return data_.get(); }
    size_t bytes() const { return bytes_; }
    unsigned char *release() { return data_.release(); }

  private:
    struct Free {
        void operator()(unsigned char *data) const { std::free(data); }
    };
    std::unique_ptr<unsigned char, Free> data_;
    size_t bytes_ = 0;
};

struct CheckedInput {
    const unsigned char *data; // the caller's own, or `converted`
    AlignedBytes converted;
};

struct CheckedInputs {
    int64_t batch = 1;
    Size size;                         // of the images, where the program takes several
    std::vector<CheckedInput> tensors; // in the manifest's order
};

// Within a kind (floating, whole, boolean) numbers are converted. Throws WrongInputNames, WrongShape, WrongDtype,
// NotFinite.
CheckedInputs check_inputs(const Program &program, const ovenbird_tensor *inputs, size_t count, bool allow_nan);

} // namespace ob
