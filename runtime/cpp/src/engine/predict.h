// From images to predictions: open, pre-process, run, explain (`ovenbird_runtime/predicting/predict.py`).
//
//     std::vector<Prediction> found = predict(session, {{"photo.jpg"}}, options);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "answers/prediction.h"
#include "base/errors.h"
#include "engine/session.h"
#include "pictures/picture.h"
#include "pipeline/apply.h"

namespace ob {

struct Prediction {
    std::string preprocess; // the pipeline's name
    Frame frame;
    std::vector<Answer> answers;
    std::shared_ptr<const std::vector<OutputTensor>> outputs; // what the answers were made of
};

// Images of a call that cannot be read or prepared: their places, and why.
struct Failure {
    size_t place;
    Error error;
};

// One prediction an image, in order, but for those that are added to `failures` where it is given. Throws ImageError, PipelineError, WrongOption, and what `Session::run` throws.
std::vector<Prediction> predict(Session &session, const std::vector<PictureSource> &images,
                                const PredictOptions &options, std::vector<Failure> *failures = nullptr);

// What a pipeline makes of one image that stands at `index` in its call; the batch is 1.
struct PreparedInput {
    const TensorSpec *spec;
    Prepared prepared;
};
PreparedInput prepare_input(const Model &model, const PictureSource &image, const PredictOptions &options,
                            uint64_t index);

// {"model": ..., "classes": ...}, as the Python runtime's `Prediction.to_json`.
Json json_of(const Prediction &prediction, const Manifest &manifest, const PredictOptions &options);

// Lines for people.
std::vector<std::string> lines_of(const Prediction &prediction, const Manifest &manifest);

} // namespace ob
