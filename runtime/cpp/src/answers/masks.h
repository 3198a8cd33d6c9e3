// Masks of boxes, pasted into the photograph as torchvision does, and COCO's run-length encoding of them
// (`ovenbird_runtime/postprocess/masks.py`).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/json.h"

namespace ob {

struct Mask {
    const float *grid; // side x side: probabilities within the box
    int64_t side;
    std::array<double, 4> box;       // where the network sees it, in pixels of the photograph
    std::array<int64_t, 2> original; // width and height of the photograph

    // How many pixels of the photograph the box covers: what pasting costs.
    int64_t covered() const;
    // {"size": [height, width], "counts": "..."}, as pycocotools reads it.
    Json rle() const;
};

} // namespace ob
