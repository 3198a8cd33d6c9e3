// Does the artifact do here what it did where it was compiled? Every file's digest, then the golden outputs
// (`ovenbird_runtime/selftest.py`).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/session.h"
#include "tensors/agreement.h"

namespace ob {

struct Selftest {
    std::string model, target;
    size_t files = 0;
    int64_t rows = 0;
    double tolerance = 0;
    std::vector<std::pair<std::string, Difference>> outputs; // the largest of each
};

// Throws SelftestFailed where an output is off by more than the manifest's limits, or where there is nothing to
// compare.
Selftest selftest(Session &session);

} // namespace ob
