// A program: one network function of a model, what it takes and gives, and the steps before and after it
// (`ovenbird_runtime/manifest/program.py`).
//
//     program.inputs[0].with_batch(8)              // {8, 3, 224, 224}
//     at(program, {320, 480}).inputs[0].shape      // of a program for several image sizes
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "artifact/dtype.h"
#include "artifact/steps.h"

namespace ob {

struct TensorSpec {
    std::string name;
    ovenbird_dtype dtype = OVENBIRD_FLOAT32;
    Shape shape;
    std::string layout;

    bool batched() const { return !shape.empty() && shape[0] == DIM_BATCH; }
    Shape with_batch(int64_t batch) const;
    // Bytes for `batch` images, an empty dimension counted as one; -1 beyond 2**62.
    int64_t room(int64_t batch) const { return product(with_batch(batch), info(dtype).bytes, true); }
    int64_t bytes(int64_t batch) const { return product(with_batch(batch), info(dtype).bytes); }
};

enum class AnswerKind { Classification, Embedding, Boxes, Text, Raw };
enum class NmsKind { Hard, Soft, None };

struct AnswerStep {
    AnswerKind kind = AnswerKind::Raw;
    std::string output;
    std::optional<std::string> labels;
    // boxes
    std::string scores = "scores", classes = "classes";
    std::optional<std::string> masks, keypoints;
    double score = 0.25, iou = 0.45;
    int64_t max_boxes = 100;
    bool agnostic = false;
    NmsKind nms = NmsKind::Hard;
    // of a line of text
    int64_t blank = 0;
};

struct ProgramSize {
    Size size;
    std::vector<Shape> inputs, outputs;
};

struct Program {
    std::vector<TensorSpec> inputs, outputs;
    std::optional<std::string> default_pipeline;
    std::vector<std::pair<std::string, Pipeline>> pipelines;
    std::vector<AnswerStep> answers;
    std::vector<ProgramSize> sizes;

    bool batched() const;
    // All image sizes, the usual one first; one that is empty for a program that has but one.
    std::vector<Size> image_sizes() const;
    // Height and width of the images in its one input, [N, 3, height, width]; empty where it takes no images.
    Size image_size() const;
    const Pipeline *pipeline(std::string_view name) const;
};

Program read_program(const Value &value);

// The program as it is for images of one of its sizes; throws WrongShape.
Program at(const Program &program, const Size &size);

// Checks what one field of a program says about another; throws ManifestInvalid.
void check_program(const Program &program, const std::vector<std::string> &files, const std::string &where);

// Refuses inputs and outputs that one call for `batch` images cannot have in memory.
void check_call(const Program &program, int64_t batch, const std::string &where);

// Refuses a name that is there twice.
void check_unique(std::vector<std::string> names, const char *what, const std::string &where);

} // namespace ob
