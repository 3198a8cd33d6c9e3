// One image's answers, and as JSON and lines for people (`ovenbird_runtime/postprocess/prediction.py`).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "answers/asked.h"
#include "answers/boxes.h"
#include "answers/classes.h"
#include "answers/embedding.h"
#include "answers/row.h"
#include "answers/text.h"
#include "base/json.h"
#include "pipeline/frame.h"

namespace ob {

struct Answer {
    AnswerKind kind;
    std::string output;
    Row row; // of the step's own output
    std::vector<ClassScore> classes;
    Embedding embedding{};
    std::vector<Box> boxes;
    TextAnswer text{};
};

using NamedRows = std::vector<std::pair<std::string, Row>>; // a program's outputs for one image, in its order

// What the outputs of one image say; an output that no step reads is given as it is. Rows are kept.
std::vector<Answer> explain(const Program &program, const StepLabels &labels, const NamedRows &rows,
                            const PredictOptions &options, const Frame *frame);

// The values of a prediction in JSON, behind those of `head`. Throws ImageTooLarge for masks beyond the limit.
Json json_of(const std::vector<Answer> &answers, const PredictOptions &options, JsonObject head);

std::vector<std::string> lines_of(const std::vector<Answer> &answers);

} // namespace ob
