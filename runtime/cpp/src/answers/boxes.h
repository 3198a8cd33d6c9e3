// Candidates to the boxes of a photograph: what scores enough, does not overlap a better one, and can be seen in it
// (`ovenbird_runtime/postprocess/boxes.py`).
//
// Suppression is done in the network's input, as torchvision does; then places go back through the frame and are held
// at the photograph's edges.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "answers/asked.h"
#include "answers/masks.h"
#include "answers/row.h"
#include "pipeline/frame.h"

namespace ob {

struct Box {
    std::string label;
    int64_t index;
    double score;
    std::array<double, 4> box; // left, top, right, bottom in pixels of the photograph, within it
    std::optional<Mask> mask;
    std::vector<std::array<double, 3>> keypoints; // across, down and a score; they may lie outside of it
};

// What counts as a box, for one step and one call.
struct BoxSettings {
    double score, iou;
    size_t max_boxes;
    bool agnostic;
    std::optional<std::vector<int64_t>> classes; // only these, ascending
};

// Throws WrongOption for a class that there is not.
BoxSettings box_settings(const AnswerStep &step, const PredictOptions &options, const std::vector<std::string> *labels);

// The outputs of one image that a step reads.
struct BoxRows {
    Row boxes, scores, classes;
    std::optional<Row> masks, keypoints;
};

// The best first; without a frame in pixels of the network's input. Masks keep pointers to their row.
std::vector<Box> find_boxes(const AnswerStep &step, const BoxRows &rows, const BoxSettings &settings,
                            const std::vector<std::string> *labels, const Frame *frame);

} // namespace ob
