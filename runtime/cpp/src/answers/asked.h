// What a caller asks of a prediction (`ovenbird_runtime/options.py`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "artifact/program.h"
#include "base/limits.h"

namespace ob {

struct PredictOptions {
    std::optional<std::string> preprocess; // a pipeline's name; the manifest's default
    int64_t top = 2;
    int64_t seed = 0; // of random pre-processing
    bool embedding = false;
    // Of boxes; without a value the model's own
    std::optional<double> score, iou;
    std::optional<int64_t> max_boxes;
    std::optional<std::vector<std::string>> classes;
    std::optional<bool> agnostic;
    // Of a text that is made token by token
    std::optional<std::string> prompt; // what it goes on from
    std::optional<int64_t> max_tokens, beams;
    Size image_size; // height and width; empty: the usual one
    double max_megapixels = MAX_IMAGE_MEGAPIXELS;
};

// The labels of each answer of a program, in its order; nullptr where it has none.
using StepLabels = std::vector<const std::vector<std::string> *>;

// Throws WrongOption for values out of their range, and for those that the model's answers do not have.
void check_options(const PredictOptions &options);
void check_asked(const std::string &model, const Program &program, const StepLabels &labels,
                 const PredictOptions &options, bool writes_text = false);

// The seed of a call that names none.
int64_t fresh_seed();

} // namespace ob
