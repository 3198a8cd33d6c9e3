// Logits to the most probable classes (`ovenbird_runtime/postprocess/classes.py`).
#pragma once

#include <string>
#include <vector>

#include "answers/row.h"

namespace ob {

struct ClassScore {
    int64_t index;
    std::string label; // "class 7" where there are none
    double confidence;
};

// The `top` most probable, the best first, equal ones by index. Confidences are the softmax in float64; NaN of a row
// that holds NaN.
std::vector<ClassScore> top_classes(const Row &logits, const std::vector<std::string> *labels, int64_t top);

// "class 7" where there is no label of that index.
std::string label_of(const std::vector<std::string> *labels, int64_t index);

} // namespace ob
