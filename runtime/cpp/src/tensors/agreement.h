// Do two answers agree? The rule of `ovenbird_runtime/manifest/agreement.py`, where it is explained.
//
//     Difference found = compare(given, right, usual_limits(Precision::F32));
//     found.fault                                  // empty where they agree, else what is wrong and by how much
#pragma once

#include <string>
#include <vector>

#include "artifact/parity.h"
#include "tensors/npz.h"

namespace ob {

struct Difference {
    double max_abs = 0, rms = 0, peak = 0, mismatches = 0;
    std::string fault;
};

// Both are [rows, ...], one row an input.
Difference compare(const NamedTensor &given, const NamedTensor &right, const Limits &limits);

} // namespace ob
