// ovenbird-answers CASES: what conformance/answers says of each case: the answers as JSON, or the error; a line each.
#include <algorithm>
#include <cstdio>

#include "answers/prediction.h"
#include "artifact/answers.h"
#include "artifact/files.h"
#include "base/errors.h"
#include "base/text.h"
#include "tensors/npz.h"
#include "lines.h"

namespace {

struct Case {
    ob::Program program;
    std::vector<ob::NamedTensor> outputs;
    std::vector<std::string> labels;
    ob::PredictOptions options;
    ob::Frame frame;
    bool framed = false;
};

void read_options(const ob::Json &value, ob::PredictOptions &options) {
    auto real = [&](const char *name, std::optional<double> &into) {
        if (const ob::Json *found = value.find(name)) into = found->real;
    };
    real("score", options.score);
    real("iou", options.iou);
    if (const ob::Json *found = value.find("top")) options.top = found->integer;
    if (const ob::Json *found = value.find("max_boxes")) options.max_boxes = found->integer;
    if (const ob::Json *found = value.find("beams")) options.beams = found->integer;
    if (const ob::Json *found = value.find("agnostic")) options.agnostic = found->truth;
    if (const ob::Json *found = value.find("embedding")) options.embedding = found->truth;
    if (const ob::Json *found = value.find("classes")) {
        options.classes.emplace();
        for (const ob::Json &item : found->items) options.classes->push_back(item.text);
    }
}

void read_frame(const ob::Json &value, ob::Frame &frame) {
    for (size_t axis = 0; axis < 2; ++axis) {
        frame.original[axis] = value.find("original")->items[axis].integer;
        frame.scale[axis] = value.find("scale")->items[axis].real;
        frame.offset[axis] = value.find("offset")->items[axis].real;
    }
}

Case read_case(const ob::Json &value, const std::string &folder) {
    Case found;
    std::string name = value.find("outputs")->text;
    found.outputs = ob::read_npz(ob::system_text(folder + name), name, 1 << 28, OVENBIRD_INPUT_UNREADABLE);
    for (const ob::NamedTensor &tensor : found.outputs) {
        ob::TensorSpec spec;
        spec.name = tensor.name;
        spec.dtype = tensor.dtype;
        spec.shape = tensor.shape;
        spec.shape[0] = ob::DIM_BATCH;
        found.program.outputs.push_back(spec);
    }
    for (const ob::Json &step : value.find("postprocess")->items) {
        ob::read_answer(found.program.answers.emplace_back(), ob::Value(step, "postprocess"));
    }
    if (const ob::Json *labels = value.find("labels")) {
        for (const ob::Json &label : labels->items) found.labels.push_back(label.text);
    }
    read_options(*value.find("options"), found.options);
    if (const ob::Json *frame = value.find("frame")) {
        read_frame(*frame, found.frame);
        found.framed = true;
    }
    return found;
}

std::string line_of(const ob::Json &value, const std::string &folder) {
    Case one = read_case(value, folder);
    ob::check_options(one.options);
    ob::StepLabels labels(one.program.answers.size(), one.labels.empty() ? nullptr : &one.labels);
    ob::check_asked("a model", one.program, labels, one.options);
    std::vector<ob::Json> rows;
    for (int64_t i = 0; i < one.outputs[0].shape[0]; ++i) {
        ob::NamedRows named;
        for (const ob::NamedTensor &tensor : one.outputs) {
            ob::Row row{tensor.dtype, ob::Shape(tensor.shape.begin() + 1, tensor.shape.end()),
                        reinterpret_cast<const unsigned char *>(tensor.data.data())};
            row.data += static_cast<size_t>(i) * row.count() * static_cast<size_t>(ob::info(row.dtype).bytes);
            named.emplace_back(tensor.name, row);
        }
        const ob::Frame *frame = one.framed ? &one.frame : nullptr;
        rows.push_back(ob::json_of(ob::explain(one.program, labels, named, one.options, frame), one.options, {}));
    }
    std::string text = ob::json_text(ob::json_list(std::move(rows)));
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

} // namespace

int main(int count, char **words) { return print_lines(count, words, line_of); }
