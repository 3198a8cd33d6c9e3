// Pre-processing steps as data: what a pipeline in the manifest may hold (`ovenbird_runtime/manifest/steps.py`).
//
//     Pipeline pipeline = read_pipeline(value, where);
//     std::string wrong = problem(pipeline);          // empty where nothing is
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/schema.h"

namespace ob {

using Size = Shape; // height, then width, in pixels; empty where there is none

enum class StepKind { Resize, Zoom, CentreCrop, RandomCrop, Pad, Normalise };
enum class Filter { Nearest, Bilinear, Bicubic, Lanczos, OpencvLinear };
enum class Order { Rgb, Bgr, Grey };

struct Step {
    StepKind kind = StepKind::Normalise;
    // resize and zoom
    std::optional<int64_t> shorter;
    Size fit, exact;
    Filter interpolation = Filter::Bilinear;
    bool enlarge = true;
    bool round_down = false;
    double factor = 1.5;
    // crops and pad
    Size size{224, 224};
    Shape value{0}; // one, three, or none: the canvas is 0 after normalising
    bool top_left = false;
    // normalise
    std::vector<double> mean{0.0}, std{1.0};
    std::optional<double> scale; // none divides by 255
    Order order = Order::Rgb;
    bool rows_of_pixels = false; // HWC
};

using Pipeline = std::vector<Step>;

const char *step_name(StepKind kind);
Pipeline read_pipeline(const Value &value);

// What is wrong with a pipeline beyond its steps' own types, in one line; empty where nothing is.
std::string problem(const Pipeline &pipeline);

// Height and width of what a pipeline gives, whatever the image; empty where that depends on the image.
Size output_size(const Pipeline &pipeline);

// "320x480".
std::string size_text(const Size &size);
std::string sizes_text(const std::vector<Size> &sizes);

} // namespace ob
