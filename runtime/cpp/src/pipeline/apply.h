// A pipeline of steps: an image in, the network's input out (`ovenbird_runtime/preprocess/interpreted.py`).
//
//     Prepared found = prepare(*program.pipeline("imagenet"), picture, seed, 0);
//     found.shape                                 // {3, 224, 224}
#pragma once

#include <cstdint>

#include "artifact/program.h"
#include "pictures/picture.h"
#include "pipeline/frame.h"

namespace ob {

struct Prepared {
    Shape shape; // float32 [channels, height, width], or [height, width, channels]
    AlignedBytes data;
    Frame frame;
};

// Random steps draw from `seed` and the image's `index` in its call. Throws PipelineError, ImageTooLarge.
Prepared prepare(const Pipeline &pipeline, Picture picture, uint64_t seed, uint64_t index);

} // namespace ob
