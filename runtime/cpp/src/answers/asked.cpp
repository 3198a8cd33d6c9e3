#include "answers/asked.h"

#include <algorithm>
#include <sys/random.h>

#include "answers/boxes.h"
#include "base/errors.h"
#include "base/text.h"

namespace ob {

namespace {

void check_whole(const char *name, int64_t value, int64_t low, int64_t high, const char *high_text = nullptr) {
    if (value >= low && value <= high) return;
    fail(OVENBIRD_WRONG_OPTION, name, " is ", value, ", expected a whole number from ", low, " to ",
         high_text ? std::string(high_text) : std::to_string(high));
}

void check_real(const char *name, double value, double high, bool or_zero) {
    if ((value > 0 && value <= high) || (or_zero && value == 0)) return;
    fail(OVENBIRD_WRONG_OPTION, name, " is ", repr(value), ", expected a number ", or_zero ? "from" : "above", " 0 to ",
         format("%g", high));
}

const char *asked_of_boxes(const PredictOptions &options) {
    if (options.score) return "score";
    if (options.iou) return "iou";
    if (options.max_boxes) return "max_boxes";
    if (options.classes) return "classes";
    return options.agnostic ? "agnostic" : nullptr;
}

const char *asked_of_text(const PredictOptions &options) {
    if (options.prompt) return "prompt";
    if (options.max_tokens) return "max_tokens";
    return options.beams ? "beams" : nullptr;
}

} // namespace

void check_options(const PredictOptions &options) {
    check_whole("top", options.top, 1, MAX_TOP);
    check_whole("seed", options.seed, 0, INT64_MAX, "2**63 - 1");
    if (options.score) check_real("score", *options.score, 1.0, true);
    if (options.iou) check_real("iou", *options.iou, 1.0, true);
    if (options.max_boxes) check_whole("max_boxes", *options.max_boxes, 1, MAX_BOXES);
    if (options.classes && options.classes->empty()) {
        fail(OVENBIRD_WRONG_OPTION, "classes is (), expected labels or indices of classes");
    }
    if (options.classes && options.classes->size() > static_cast<size_t>(MAX_CLASS_FILTERS)) {
        fail(OVENBIRD_WRONG_OPTION, "classes has ", options.classes->size(), " names, limit ", MAX_CLASS_FILTERS);
    }
    if (options.prompt && (!is_utf8(*options.prompt) || char_count(*options.prompt) > MAX_PROMPT_CHARS)) {
        fail(OVENBIRD_WRONG_OPTION, "prompt is ", shown(*options.prompt), ", expected text of at most ",
             MAX_PROMPT_CHARS, " characters");
    }
    if (options.max_tokens) check_whole("max_tokens", *options.max_tokens, 1, MAX_TOKENS);
    if (options.beams) check_whole("beams", *options.beams, 1, MAX_BEAMS);
    check_real("max_megapixels", options.max_megapixels, MAX_IMAGE_MEGAPIXELS * 20, false);
}

void check_asked(const std::string &model, const Program &program, const StepLabels &labels,
                 const PredictOptions &options, bool writes_text) {
    static const char *names[] = {"classification", "embedding", "boxes", "ctc", "raw"};
    const char *asked = asked_of_boxes(options);
    bool answers = std::any_of(program.answers.begin(), program.answers.end(),
                               [](const AnswerStep &step) { return step.kind == AnswerKind::Boxes; });
    if (asked && !answers) {
        std::vector<std::string> kinds;
        for (const AnswerStep &step : program.answers) kinds.emplace_back(names[static_cast<int>(step.kind)]);
        if (writes_text) kinds = {"text"};
        fail(OVENBIRD_WRONG_OPTION, asked, " is for boxes, ", model, " answers with ",
             kinds.empty() ? "raw" : join(kinds));
    }
    asked = asked_of_text(options);
    if (asked && !writes_text) {
        fail(OVENBIRD_WRONG_OPTION, asked, " is for models that write text, ", model, " answers otherwise");
    }
    for (size_t i = 0; i < program.answers.size(); ++i) {
        if (program.answers[i].kind == AnswerKind::Boxes) box_settings(program.answers[i], options, labels[i]);
    }
}

int64_t fresh_seed() {
    uint32_t seed = 0;
    return getrandom(&seed, sizeof seed, 0) == sizeof seed ? seed : 0;
}

} // namespace ob
