// Files of tensors, .npz and .npy, which may be hostile: every size is checked before memory is taken for it
// (`ovenbird_runtime/tensors/npz.py`).
//
//     std::vector<NamedTensor> tensors = read_npz(data, "inputs.npz", MAX_TENSORS_FILE_BYTES);
//     std::string bytes = npz_bytes(tensors);             // the bytes that the Python runtime writes
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "artifact/dtype.h"

namespace ob {

struct NamedTensor {
    std::string name;
    ovenbird_dtype dtype;
    Shape shape;
    std::string data;

    ovenbird_tensor view() const;
};

// Throws `status` with the file's name and what is wrong. Members are stored or deflated.
std::vector<NamedTensor> read_npz(std::string_view data, const std::string &name, int64_t limit,
                                  ovenbird_status status);
// One array, whose name is given.
NamedTensor read_npy(std::string_view data, const std::string &name, const std::string &file, ovenbird_status status);

std::string npz_bytes(std::vector<NamedTensor> tensors);

} // namespace ob
