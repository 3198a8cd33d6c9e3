// Composes a batch of any size from the sizes that were compiled (`ovenbird_runtime/engine/compose.py`).
//
//     plan_batches(11, {1, 8})        // {8, 1, 1, 1}
//
// The Python runtime learns on the way what each size costs; here the choice is always the same: a call costs a tenth
// of an image on top of its images, padding counts as images do.
#pragma once

#include <cstdint>
#include <vector>

namespace ob {

// The compiled sizes to run, largest first, that together take `count` rows; the rest of the last is padding.
std::vector<int64_t> plan_batches(int64_t count, std::vector<int64_t> sizes);

} // namespace ob
