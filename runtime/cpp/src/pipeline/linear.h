// OpenCV's INTER_LINEAR for 8 bits a channel, bit for bit (`ovenbird_runtime/preprocess/linear.py`).
#pragma once

#include "pipeline/resampling.h"

namespace ob {

Picture by_opencv(const Picture &picture, int64_t width, int64_t height, const Area &window);

} // namespace ob
