// The C interface's predictions.
#include "api/predictions.h"

#include "api/handles.h"

using namespace ob;

namespace {

std::vector<PictureSource> sources_of(const ovenbird_image *images, size_t count) {
    std::vector<PictureSource> found;
    if (count) need(images, "images");
    for (size_t i = 0; i < count; ++i) {
        if (!images[i].path) need(images[i].data, "an image's path and data");
        found.push_back({images[i].path, images[i].data, images[i].bytes});
    }
    return found;
}

PredictOptions options_of(const ovenbird_predict_options *given) {
    ovenbird_predict_options asked = OVENBIRD_PREDICT_OPTIONS;
    take_options(given, asked, "OVENBIRD_PREDICT_OPTIONS");
    PredictOptions options;
    if (asked.preprocess) options.preprocess = asked.preprocess;
    options.top = asked.top;
    options.seed = asked.seed == -1 ? fresh_seed() : asked.seed;
    options.embedding = asked.embedding != 0;
    if (asked.score != -1.0) options.score = asked.score;
    if (asked.iou != -1.0) options.iou = asked.iou;
    if (asked.max_boxes != 0) options.max_boxes = asked.max_boxes;
    if (asked.agnostic != -1) options.agnostic = asked.agnostic != 0;
    if (asked.classes) {
        options.classes.emplace();
        for (size_t i = 0; i < asked.class_count; ++i) {
            need(asked.classes[i], "a class");
            options.classes->emplace_back(asked.classes[i]);
        }
    }
    if (asked.image_height || asked.image_width) options.image_size = {asked.image_height, asked.image_width};
    options.max_megapixels = asked.max_megapixels;
    if (asked.prompt) options.prompt = asked.prompt;
    if (asked.max_tokens != 0) options.max_tokens = asked.max_tokens;
    if (asked.beams != 0) options.beams = asked.beams;
    return options;
}

const Prediction &prediction_of(const ovenbird_predictions *predictions, size_t image) {
    need(predictions, "predictions");
    if (image >= predictions->all.size()) {
        fail(OVENBIRD_WRONG_OPTION, "image is ", image, ", there are ", predictions->all.size());
    }
    return predictions->all[image];
}

// The answer of an output, or the first of that kind; nullptr where there is none.
const Answer *find_answer(const Prediction &prediction, AnswerKind kind, const char *output) {
    for (const Answer &answer : prediction.answers) {
        if (answer.kind == kind && (!output || answer.output == output)) return &answer;
    }
    return nullptr;
}

const Answer &answer_of(const ovenbird_predictions *predictions, size_t image, AnswerKind kind, const char *output) {
    const Answer *found = find_answer(prediction_of(predictions, image), kind, output);
    if (!found) fail(OVENBIRD_WRONG_OPTION, "there is no such answer of ", shown(output ? output : "any output"));
    return *found;
}

template <typename T> const T &item_of(const std::vector<T> &items, size_t place) {
    if (place >= items.size()) fail(OVENBIRD_WRONG_OPTION, "place is ", place, ", there are ", items.size());
    return items[place];
}

template <typename T>
size_t count_of(const ovenbird_predictions *predictions, size_t image, AnswerKind kind, const char *output,
                std::vector<T> Answer::*items) {
    size_t count = 0;
    guarded([&] {
        const Answer *found = find_answer(prediction_of(predictions, image), kind, output);
        if (found) count = (found->*items).size();
    });
    return count;
}

} // namespace

ovenbird_status ovenbird_predict(ovenbird_session *session, const ovenbird_image *images, size_t count,
                                 const ovenbird_predict_options *options, ovenbird_predictions **predictions) {
    return guarded([&] {
        need(predictions, "predictions");
        *predictions = nullptr;
        need(session, "session");
        auto found = std::make_unique<ovenbird_predictions>();
        found->options = options_of(options);
        found->all = predict(*session->session, sources_of(images, count), found->options);
        found->json.resize(found->all.size());
        found->model = session->session->shared_model();
        *predictions = found.release();
    });
}

void ovenbird_predictions_free(ovenbird_predictions *predictions) { delete predictions; }

size_t ovenbird_predictions_count(const ovenbird_predictions *predictions) {
    return predictions ? predictions->all.size() : 0;
}

ovenbird_status ovenbird_predictions_json(ovenbird_predictions *predictions, size_t image, const char **json) {
    return guarded([&] {
        need(json, "json");
        prediction_of(predictions, image);
        std::string &text = predictions->json[image];
        if (text.empty()) text = json_text(predictions->values(image));
        *json = text.c_str();
    });
}

size_t ovenbird_class_count(const ovenbird_predictions *predictions, size_t image, const char *output) {
    return count_of(predictions, image, AnswerKind::Classification, output, &Answer::classes);
}

ovenbird_status ovenbird_class_at(const ovenbird_predictions *predictions, size_t image, const char *output,
                                  size_t place, ovenbird_class *found) {
    return guarded([&] {
        need(found, "found");
        const Answer &answer = answer_of(predictions, image, AnswerKind::Classification, output);
        const ClassScore &one = item_of(answer.classes, place);
        *found = {one.index, one.label.c_str(), one.confidence};
    });
}

size_t ovenbird_box_count(const ovenbird_predictions *predictions, size_t image, const char *output) {
    return count_of(predictions, image, AnswerKind::Boxes, output, &Answer::boxes);
}

ovenbird_status ovenbird_box_at(const ovenbird_predictions *predictions, size_t image, const char *output, size_t place,
                                ovenbird_box *found) {
    return guarded([&] {
        need(found, "found");
        const Box &one = item_of(answer_of(predictions, image, AnswerKind::Boxes, output).boxes, place);
        *found = {one.index, one.label.c_str(), one.score, one.box[0], one.box[1], one.box[2], one.box[3]};
    });
}

ovenbird_status ovenbird_embedding_of(const ovenbird_predictions *predictions, size_t image, const char *output,
                                      ovenbird_embedding *found) {
    return guarded([&] {
        need(found, "found");
        const Answer &answer = answer_of(predictions, image, AnswerKind::Embedding, output);
        size_t bytes = answer.row.count() * static_cast<size_t>(info(answer.row.dtype).bytes);
        *found = {answer.embedding.mean, answer.embedding.variance,
                  view_of(answer.output, answer.row.dtype, answer.row.shape, answer.row.data, bytes)};
    });
}

ovenbird_status ovenbird_text_of(const ovenbird_predictions *predictions, size_t image, const char *output,
                                 ovenbird_text *found) {
    return guarded([&] {
        need(found, "found");
        const TextAnswer &one = answer_of(predictions, image, AnswerKind::Text, output).text;
        *found = {one.text.c_str(), one.tokens.data(), one.tokens.size(), one.ended ? 1 : 0,
                  one.was_read ? one.confidence : -1.0};
    });
}

ovenbird_status ovenbird_preprocess(const ovenbird_artifact *artifact, const ovenbird_image *image,
                                    const ovenbird_predict_options *options, ovenbird_result **result) {
    return guarded([&] {
        need(result, "result");
        *result = nullptr;
        need(artifact, "artifact");
        need(image, "image");
        auto found = std::make_unique<ovenbird_result>();
        PreparedInput input = prepare_input(*artifact->model, sources_of(image, 1)[0], options_of(options), 0);
        Shape shape = input.prepared.shape;
        shape.push_front(1);
        found->outputs.push_back({input.spec, shape, std::move(input.prepared.data)});
        found->model = artifact->model;
        *result = found.release();
    });
}
