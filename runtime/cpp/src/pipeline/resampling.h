// Resizing as Pillow 13 does it, and as OpenCV does, bit for bit; only a window of the result is made.
//
//     Picture found = resized(picture, {341, 256, Filter::Bilinear}, {58, 16, 224, 224});
#pragma once

#include "artifact/steps.h"
#include "pictures/picture.h"

namespace ob {

struct Area {
    int64_t left, top, width, height;
};

// The whole image becomes `width` by `height` pixels, of which `window` is made.
Picture resized(const Picture &picture, int64_t width, int64_t height, Filter filter, const Area &window);

} // namespace ob
