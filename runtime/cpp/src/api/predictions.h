// What ovenbird_predict hands out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/model.h"
#include "engine/predict.h"

struct ovenbird_predictions {
    std::shared_ptr<const ob::Model> model;
    ob::PredictOptions options;
    std::vector<ob::Prediction> all;
    std::vector<std::string> json; // of each, made when it is asked for

    // Throws ImageTooLarge for masks beyond the limit.
    ob::Json values(size_t image) const { return ob::json_of(all[image], model->artifact.manifest, options); }
};
