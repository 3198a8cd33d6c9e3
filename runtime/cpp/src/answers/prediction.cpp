#include "answers/prediction.h"

#include <algorithm>

#include "artifact/answers.h"
#include "base/errors.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr AnswerKind KINDS[] = {AnswerKind::Classification, AnswerKind::Embedding, AnswerKind::Boxes, AnswerKind::Text,
                                AnswerKind::Raw};
constexpr const char *FIELDS[] = {"classes", "embeddings", "boxes", "text", "raw"}; // by kind

const Row &find(const NamedRows &rows, const std::string &name) {
    for (const auto &[known, row] : rows) {
        if (known == name) return row;
    }
    fail(OVENBIRD_INTERNAL, "no output ", shown(name));
}

Answer answer_of(const AnswerStep &step, const std::vector<std::string> *labels, const NamedRows &rows,
                 const PredictOptions &options, const Frame *frame) {
    Answer answer{step.kind, step.output, find(rows, step.output), {}, {}, {}};
    if (step.kind == AnswerKind::Classification) answer.classes = top_classes(answer.row, labels, options.top);
    if (step.kind == AnswerKind::Embedding) answer.embedding = summarise(answer.row);
    if (step.kind == AnswerKind::Text) answer.text = read_line(answer.row, *labels, step.blank);
    if (step.kind == AnswerKind::Boxes) {
        BoxRows all{answer.row, find(rows, step.scores), find(rows, step.classes), std::nullopt, std::nullopt};
        if (step.masks) all.masks = find(rows, *step.masks);
        if (step.keypoints) all.keypoints = find(rows, *step.keypoints);
        answer.boxes = find_boxes(step, all, box_settings(step, options, labels), labels, frame);
    }
    return answer;
}

Json json_of_classes(const std::vector<ClassScore> &scores) {
    std::vector<Json> items;
    for (const ClassScore &one : scores) {
        JsonObject item;
        item.add("index", one.index).add("label", one.label).add("confidence", one.confidence);
        items.push_back(item.done());
    }
    return json_list(std::move(items));
}

Json json_of_embedding(const Answer &answer, bool vector) {
    JsonObject found;
    found.add("mean", answer.embedding.mean).add("variance", answer.embedding.variance);
    if (!vector) return found.done();
    Row flat = answer.row;
    flat.shape = {static_cast<int64_t>(flat.count())};
    return found.add("vector", json_of(flat)).done();
}

Json json_of_boxes(const std::vector<Box> &boxes) {
    double megapixels = 0;
    for (const Box &one : boxes) megapixels += one.mask ? static_cast<double>(one.mask->covered()) / 1e6 : 0;
    if (megapixels > MAX_MASKS_MEGAPIXELS) {
        fail(OVENBIRD_IMAGE_TOO_LARGE, "the masks of ", boxes.size(), " boxes cover ", format("%.0f", megapixels),
             " MP, limit ", format("%.0f", MAX_MASKS_MEGAPIXELS),
             " MP: ask for fewer boxes (max_boxes, score), or give a smaller image");
    }
    std::vector<Json> items;
    for (const Box &one : boxes) {
        JsonObject item;
        item.add("label", one.label).add("index", one.index).add("score", one.score);
        item.add("box", json_numbers(one.box.data(), one.box.size()));
        if (one.mask) item.add("mask", one.mask->rle());
        std::vector<Json> points;
        for (const auto &point : one.keypoints) {
            points.push_back(json_numbers(point.data(), point.size()));
        }
        if (!points.empty()) item.add("keypoints", json_list(std::move(points)));
        items.push_back(item.done());
    }
    return json_list(std::move(items));
}

Json json_of_answer(const Answer &answer, const PredictOptions &options) {
    switch (answer.kind) {
    case AnswerKind::Classification: return json_of_classes(answer.classes);
    case AnswerKind::Embedding: return json_of_embedding(answer, options.embedding);
    case AnswerKind::Boxes: return json_of_boxes(answer.boxes);
    case AnswerKind::Text: return json_of(answer.text);
    default: return json_of(answer.row);
    }
}

void add_lines(const Answer &answer, std::vector<std::string> &lines) {
    if (answer.kind == AnswerKind::Embedding) {
        lines.push_back(str(answer.output, ": mean ", format("%.5f", answer.embedding.mean), ", variance ",
                            format("%.5f", answer.embedding.variance)));
    } else if (answer.kind == AnswerKind::Text) {
        lines.push_back(line_of(answer.text));
    } else if (answer.kind == AnswerKind::Raw) {
        lines.push_back(str(answer.output, ": ", info(answer.row.dtype).name, " ", shape_text(answer.row.shape),
                            " (--json for the values)"));
    }
    size_t place = 0;
    for (const ClassScore &one : answer.classes) {
        lines.push_back(str(++place, ". ", one_line(one.label), " (", answer.output, " ", one.index,
                            "): ", format("%.2f", 100 * one.confidence), " %"));
    }
    for (const Box &one : answer.boxes) {
        lines.push_back(str(++place, ". ", one_line(one.label), " (", answer.output, " ", one.index,
                            "): ", format("%.2f", 100 * one.score), " % at ", format("%.0f", one.box[0]), ",",
                            format("%.0f", one.box[1]), " to ", format("%.0f", one.box[2]), ",",
                            format("%.0f", one.box[3])));
    }
    if (answer.kind == AnswerKind::Boxes && answer.boxes.empty()) lines.push_back(answer.output + ": none");
}

} // namespace

std::vector<Answer> explain(const Program &program, const StepLabels &labels, const NamedRows &rows,
                            const PredictOptions &options, const Frame *frame) {
    std::vector<Answer> answers;
    std::vector<std::string> read;
    for (size_t i = 0; i < program.answers.size(); ++i) {
        const AnswerStep &step = program.answers[i];
        answers.push_back(answer_of(step, labels[i], rows, options, frame));
        for (const std::string &name : outputs_of(step)) read.push_back(name);
    }
    for (const auto &[name, row] : rows) {
        if (std::count(read.begin(), read.end(), name)) continue;
        answers.push_back({AnswerKind::Raw, name, row, {}, {}, {}});
    }
    return answers;
}

Json json_of(const std::vector<Answer> &answers, const PredictOptions &options, JsonObject head) {
    for (AnswerKind kind : KINDS) {
        JsonObject of_kind;
        bool any = false;
        for (const Answer &answer : answers) {
            if (answer.kind != kind) continue;
            of_kind.add(answer.output, json_of_answer(answer, options));
            any = true;
        }
        bool always = kind != AnswerKind::Boxes && kind != AnswerKind::Text;
        if (any || always) head.add(FIELDS[static_cast<int>(kind)], of_kind.done());
    }
    return head.done();
}

std::vector<std::string> lines_of(const std::vector<Answer> &answers) {
    std::vector<std::string> lines;
    for (AnswerKind kind : KINDS) {
        for (const Answer &answer : answers) {
            if (answer.kind == kind) add_lines(answer, lines);
        }
    }
    return lines;
}

} // namespace ob
