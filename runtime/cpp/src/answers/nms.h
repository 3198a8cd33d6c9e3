// Which of many overlapping boxes stay (`ovenbird_runtime/postprocess/nms.py`): torchvision's `nms`, in float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ob {

struct Candidate {
    float sides[4]; // left, top, right, bottom; finite
    float score;
    int64_t group; // only boxes of one group suppress each other
};

// The places of the `most` highest scores in descending order, equal ones by place.
std::vector<size_t> best(const std::vector<Candidate> &candidates, size_t most);

// The places of those that stay, the best first.
std::vector<size_t> suppress(const std::vector<Candidate> &candidates, double iou, size_t most);

// Each box that stays lowers the others' scores by a Gaussian of the overlap; those that fall to `score` go.
struct Lowered {
    size_t place;
    double score;
};
std::vector<Lowered> suppress_softly(const std::vector<Candidate> &candidates, double score, size_t most);

} // namespace ob
