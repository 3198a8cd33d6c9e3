#include "artifact/answers.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

void read_boxes(AnswerStep &step, const Value &value) {
    check_fields(value, "step? output? scores? classes? masks? keypoints? labels? score? iou? max_boxes? "
                        "agnostic? nms?");
    step.output = "boxes";
    value.text("output", step.output, NAME);
    value.text("scores", step.scores, NAME);
    value.text("classes", step.classes, NAME);
    if (Value found = value.given("masks")) step.masks = read_text(found, NAME);
    if (Value found = value.given("keypoints")) step.keypoints = read_text(found, NAME);
    if (Value found = value.given("labels")) step.labels = read_text(found, PATH);
    value.real("score", step.score, 0.0, 1.0);
    value.real("iou", step.iou, 0.0, 1.0);
    value.whole("max_boxes", step.max_boxes, 1, MAX_BOXES);
    value.flag("agnostic", step.agnostic);
    value.choice("nms", step.nms, "hard soft none");
}

const TensorSpec *find_output(const Program &program, const std::string &name) {
    for (const TensorSpec &spec : program.outputs) {
        if (spec.name == name) return &spec;
    }
    return nullptr;
}

std::string dims_text(const Shape &shape) {
    std::vector<std::string> dims;
    for (int64_t dim : shape) dims.push_back(dim < 0 ? std::string(1, "NHW?"[-1 - dim]) : std::to_string(dim));
    return "[" + join(dims) + "]";
}

std::string boxes_problem(const AnswerStep &step, const Program &program) {
    struct Wanted {
        std::string name;
        Shape shape;
        std::vector<ovenbird_dtype> dtypes;
    };
    const Shape &boxes = find_output(program, step.output)->shape;
    int64_t candidates = boxes.size() == 3 ? boxes[1] : 0;
    std::vector<Wanted> wanted = {
        {step.output, {DIM_BATCH, candidates, 4}, {OVENBIRD_FLOAT32}},
        {step.scores, {DIM_BATCH, candidates}, {OVENBIRD_FLOAT32}},
        {step.classes, {DIM_BATCH, candidates}, {OVENBIRD_INT32, OVENBIRD_INT64}},
    };
    if (step.masks) {
        const Shape &shape = find_output(program, *step.masks)->shape;
        int64_t side = shape.empty() ? 0 : shape.back();
        if (side >= 0 && (side < 1 || side > MAX_MASK_SIDE)) {
            return str(*step.masks, " has masks of ", side, " pixels a side, limit ", MAX_MASK_SIDE);
        }
        wanted.push_back({*step.masks, {DIM_BATCH, candidates, side, side}, {OVENBIRD_FLOAT32}});
    }
    if (step.keypoints) {
        const Shape &shape = find_output(program, *step.keypoints)->shape;
        int64_t points = shape.size() > 2 ? shape[2] : 0;
        if (points >= 0 && (points < 1 || points > MAX_KEYPOINTS)) {
            return str(*step.keypoints, " has ", points, " keypoints a box, limit ", MAX_KEYPOINTS);
        }
        wanted.push_back({*step.keypoints, {DIM_BATCH, candidates, points, 3}, {OVENBIRD_FLOAT32}});
    }
    for (const Wanted &one : wanted) {
        const TensorSpec &found = *find_output(program, one.name);
        if (found.shape == one.shape && std::count(one.dtypes.begin(), one.dtypes.end(), found.dtype)) continue;
        std::vector<std::string> names;
        for (ovenbird_dtype dtype : one.dtypes) names.push_back(info(dtype).name);
        return str(one.name, " is ", info(found.dtype).name, " ", dims_text(found.shape),
                   ", for boxes it would have to be ", join(names, " or "), " ", dims_text(one.shape));
    }
    return "";
}

std::string step_problem(const AnswerStep &step, const Program &program) {
    if (step.kind == AnswerKind::Boxes) return boxes_problem(step, program);
    const TensorSpec &output = *find_output(program, step.output);
    const Shape &shape = output.shape;
    if (step.kind == AnswerKind::Text) {
        if (shape.size() != 3 || output.dtype != OVENBIRD_FLOAT32 || shape.back() < 0) {
            return str(step.output, " is ", info(output.dtype).name, " ", dims_text(shape),
                       ", a line of text is float32 [N, places, classes]");
        }
        if (step.blank < shape.back()) return "";
        return str(step.output, " has ", shape.back(), " classes, the blank is class ", step.blank);
    }
    if (step.kind != AnswerKind::Classification) return "";
    if (shape.size() != 2) return str(step.output, " is a classification but not of two dimensions");
    if (step.labels && shape.back() < 0) return str(step.output, " has labels but no dimension of classes");
    return "";
}

} // namespace

void read_answer(AnswerStep &step, const Value &value) {
    static const AnswerKind kinds[] = {AnswerKind::Boxes, AnswerKind::Classification, AnswerKind::Text,
                                       AnswerKind::Embedding, AnswerKind::Raw};
    step.kind = kinds[read_choice(value.field("step"), "boxes classification ctc embedding raw")];
    if (step.kind == AnswerKind::Boxes) {
        read_boxes(step, value);
        return;
    }
    check_fields(value, step.kind == AnswerKind::Classification ? "step? output labels?"
                        : step.kind == AnswerKind::Text         ? "step? output labels blank?"
                                                                : "step? output");
    value.text("output", step.output, NAME);
    Value labels = step.kind == AnswerKind::Text ? value.field("labels") : value.given("labels");
    if (labels) step.labels = read_text(labels, PATH);
    value.whole("blank", step.blank, 0, MAX_LABELS);
}

std::vector<std::string> outputs_of(const AnswerStep &step) {
    std::vector<std::string> names{step.output};
    if (step.kind != AnswerKind::Boxes) return names;
    names.push_back(step.scores);
    names.push_back(step.classes);
    if (step.masks) names.push_back(*step.masks);
    if (step.keypoints) names.push_back(*step.keypoints);
    return names;
}

std::string answers_problem(const Program &program, const std::vector<std::string> &files) {
    std::vector<std::string> taken;
    for (const AnswerStep &step : program.answers) {
        for (const std::string &name : outputs_of(step)) {
            if (!find_output(program, name)) return str("post-processing of ", quoted(name), ", which is no output");
            if (std::count(taken.begin(), taken.end(), name)) {
                return str("two post-processings named ", quoted(name));
            }
            taken.push_back(name);
        }
        std::string wrong = step_problem(step, program);
        if (!wrong.empty()) return wrong;
        if (step.labels && !std::count(files.begin(), files.end(), *step.labels)) {
            return str("the labels ", quoted(*step.labels), " are not in the file table");
        }
    }
    return "";
}

} // namespace ob
