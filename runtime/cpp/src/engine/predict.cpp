#include "engine/predict.h"

#include <algorithm>
#include <cstring>

#include "base/errors.h"
#include "base/sort.h"
#include "base/text.h"
#include "generation/text.h"

namespace ob {

namespace {

constexpr int64_t PORTION_VALUES = 64 * 3 * 224 * 224; // of images that are in memory as tensors at one time
constexpr int64_t LEAST_PORTION = 8;
constexpr const char *TENSORS = "feed it tensors: run(), --inputs FILE.npz, /v2/models/NAME/infer";

// Refuses a network that takes anything but one batch of images.
void check_takes_pictures(const Program &program) {
    const TensorSpec &first = program.inputs[0];
    bool images = program.inputs.size() == 1 && first.batched() && first.shape.size() == 4;
    if (images && first.dtype == OVENBIRD_FLOAT32) return;
    std::vector<std::string> names;
    for (const TensorSpec &spec : program.inputs) {
        names.push_back(str(spec.name, " ", info(spec.dtype).name, " ", shape_text(spec.shape)));
    }
    fail(OVENBIRD_PIPELINE_ERROR, "pictures go into a network with one batch of images; this one takes ", join(names),
         ": ", TENSORS);
}

struct Chosen {
    std::string name;
    const Pipeline *pipeline;
};

// Sizes that variants of a pipeline give, in ascending order.
std::string sizes_of(const Program &program, const std::string &usual) {
    std::vector<Size> sizes;
    for (const auto &[name, pipeline] : program.pipelines) {
        if (name == usual || name.compare(0, usual.size() + 1, usual + "-") == 0)
            sizes.push_back(output_size(pipeline));
    }
    sort(sizes);
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    return sizes_text(sizes);
}

Chosen choose_pipeline(const Program &program, const PredictOptions &options) {
    std::vector<std::string> names;
    for (const auto &[name, pipeline] : program.pipelines) names.push_back(name);
    sort(names);
    std::string known = names.empty() ? "none" : join(names);
    if (!options.preprocess && !program.default_pipeline) {
        fail(OVENBIRD_PIPELINE_ERROR, "the artifact has no default pre-processing: name one (there are ", known,
             "), or ", TENSORS);
    }
    std::string name = options.preprocess ? *options.preprocess : *program.default_pipeline;
    const Pipeline *found = program.pipeline(name);
    if (!found) {
        fail(OVENBIRD_PIPELINE_ERROR, "pre-processing ", shown(name), " is unknown; there are ", known);
    }
    if (options.image_size.empty() || output_size(*found) == options.image_size) return {name, found};
    std::string other = str(name, "-", size_text(options.image_size));
    found = program.pipeline(other);
    if (!found || output_size(*found) != options.image_size) {
        fail(OVENBIRD_PIPELINE_ERROR, "image_size is ", size_text(options.image_size), ", ", name, " gives ",
             sizes_of(program, name));
    }
    return {other, found};
}

// The one input that images go to, of the size that the pipeline gives; its name is the manifest's.
struct ImageInput {
    const TensorSpec *spec;
    Shape shape; // of one image
};

ImageInput image_input(const Program &program, const Pipeline &pipeline) {
    Shape shape = at(program, program.sizes.empty() ? Size{} : output_size(pipeline)).inputs[0].shape;
    return {&program.inputs[0], Shape(shape.begin() + 1, shape.end())};
}

Prepared prepare_one(const ImageInput &input, const Pipeline &pipeline, const PictureSource &image,
                     const PredictOptions &options, uint64_t index) {
    Prepared found =
        prepare(pipeline, open_picture(image, options.max_megapixels), static_cast<uint64_t>(options.seed), index);
    if (found.shape == input.shape) return found;
    const Shape &open = input.spec->shape;
    fail(OVENBIRD_PIPELINE_ERROR, "the pipeline gives ", shape_text(found.shape), ", ", input.spec->name, " takes ",
         shape_text(Shape(open.begin() + 1, open.end())), " an image");
}

bool is_of_image(ovenbird_status status) {
    return status == OVENBIRD_IMAGE_NOT_FOUND || status == OVENBIRD_IMAGE_UNREADABLE ||
           status == OVENBIRD_IMAGE_TOO_LARGE || status == OVENBIRD_PIPELINE_ERROR;
}

// Of the only program; none where a loop makes the answer.
StepLabels labels_of(const Model &model) {
    StepLabels labels;
    if (model.artifact.manifest.loop) return labels;
    const std::string &program = model.artifact.manifest.program_name();
    for (const AnswerStep &step : model.artifact.manifest.program().answers) {
        labels.push_back(model.labels_of(program, step.output));
    }
    return labels;
}

Row row_of(const OutputTensor &output, size_t place) {
    Row row{output.spec->dtype, Shape(output.shape.begin() + 1, output.shape.end()), output.data.data()};
    row.data += place * row.count() * static_cast<size_t>(info(row.dtype).bytes);
    return row;
}

ovenbird_tensor view_of(const TensorSpec &spec, const Shape &image, size_t count, size_t bytes, const AlignedBytes &data) {
    ovenbird_tensor view{spec.name.c_str(), OVENBIRD_FLOAT32, 4, {static_cast<int64_t>(count)}, data.data(), count * bytes};
    std::copy(image.begin(), image.end(), view.shape + 1);
    return view;
}

// What makes answers of a portion of images, prepared as one batch: each image's, in order.
struct Answering {
    Session &session;
    const Program &program;
    const PredictOptions &options;
    StepLabels labels;
    std::optional<TextRequest> request; // of a model that writes text

    Answering(Session &used, const PredictOptions &asked)
        : session(used), program(used.model().artifact.manifest.picture_program()), options(asked),
          labels(labels_of(used.model())) {
        const Manifest &manifest = used.model().artifact.manifest;
        const std::optional<TextLoop> &loop = manifest.loop;
        check_asked(manifest.model, program, labels, options, loop.has_value());
        if (!loop) return;
        int64_t widest = batches_of(used.model(), loop->step).back();
        request = text_request(*loop, used.model().pieces, options, widest);
    }

    void add(const ovenbird_tensor &batch, const std::string &pipeline, const std::vector<Frame> &frames,
             std::vector<Prediction> &found) const {
        if (request) return add_texts(batch, pipeline, frames, found);
        auto outputs = std::make_shared<const std::vector<OutputTensor>>(session.run("", &batch, 1, false));
        for (size_t i = 0; i < frames.size(); ++i) {
            NamedRows rows;
            for (const OutputTensor &output : *outputs) rows.emplace_back(output.spec->name, row_of(output, i));
            found.push_back({pipeline, frames[i], explain(program, labels, rows, options, &frames[i]), outputs});
        }
    }

    void add_texts(const ovenbird_tensor &batch, const std::string &pipeline, const std::vector<Frame> &frames,
                   std::vector<Prediction> &found) const {
        const TextLoop &loop = *session.model().artifact.manifest.loop;
        Generator generator(session, frames.size(), static_cast<size_t>(request->kind.beams));
        std::vector<Tokens> texts = generator.write(batch, *request);
        for (size_t i = 0; i < frames.size(); ++i) {
            Answer answer{AnswerKind::Text, loop.logits, {}, {}, {}, {}};
            answer.text = text_of(loop, session.model().pieces, texts[i]);
            found.push_back({pipeline, frames[i], {}, nullptr});
            found.back().answers.push_back(std::move(answer));
        }
    }
};

} // namespace

std::vector<Prediction> predict(Session &session, const std::vector<PictureSource> &images,
                                const PredictOptions &options, std::vector<Failure> *failures) {
    const Program &program = session.model().artifact.manifest.picture_program();
    check_options(options);
    check_takes_pictures(program);
    Answering answering(session, options);
    Chosen chosen = choose_pipeline(program, options);
    ImageInput input = image_input(program, *chosen.pipeline);
    if (images.empty()) fail(OVENBIRD_IMAGE_UNREADABLE, "no image was given: give at least one");
    if (static_cast<int64_t>(images.size()) > MAX_IMAGES_PER_CALL) {
        fail(OVENBIRD_WRONG_OPTION, images.size(), " images in one call, limit ", MAX_IMAGES_PER_CALL,
             ": call predict several times");
    }
    int64_t values = std::max<int64_t>(1, product(input.shape, 1));
    size_t portion = static_cast<size_t>(std::max(LEAST_PORTION, PORTION_VALUES / values));
    std::vector<Prediction> found;
    for (size_t start = 0; start < images.size(); start += portion) {
        size_t count = std::min(portion, images.size() - start), bytes = static_cast<size_t>(values) * sizeof(float);
        AlignedBytes batch;
        std::vector<Frame> frames;
        for (size_t i = 0; i < count; ++i) {
            Prepared one;
            try {
                one = prepare_one(input, *chosen.pipeline, images[start + i], options, start + i);
            } catch (const Error &error) {
                if (!failures || !is_of_image(error.status)) throw;
                failures->push_back({start + i, error});
                continue;
            }
            frames.push_back(one.frame);
            if (count == 1) {
                batch = std::move(one.data);
                break;
            }
            if (frames.size() == 1) batch = AlignedBytes(count * bytes);
            std::memcpy(batch.data() + (frames.size() - 1) * bytes, one.data.data(), bytes);
        }
        if (frames.empty()) continue;
        ovenbird_tensor view = view_of(*input.spec, input.shape, frames.size(), bytes, batch);
        answering.add(view, chosen.name, frames, found);
    }
    return found;
}

PreparedInput prepare_input(const Model &model, const PictureSource &image, const PredictOptions &options,
                            uint64_t index) {
    const Program &program = model.artifact.manifest.picture_program();
    check_options(options);
    check_takes_pictures(program);
    Chosen chosen = choose_pipeline(program, options);
    ImageInput input = image_input(program, *chosen.pipeline);
    return {input.spec, prepare_one(input, *chosen.pipeline, image, options, index)};
}

Json json_of(const Prediction &prediction, const Manifest &manifest, const PredictOptions &options) {
    JsonObject head;
    head.add("model", manifest.model).add("random_weights", manifest.random_weights);
    head.add("preprocess", prediction.preprocess).add("seed", options.seed);
    return json_of(prediction.answers, options, std::move(head));
}

std::vector<std::string> lines_of(const Prediction &prediction, const Manifest &manifest) {
    std::vector<std::string> lines = lines_of(prediction.answers);
    if (manifest.random_weights) {
        lines.insert(lines.begin(), manifest.model + ": RANDOM WEIGHTS, the answer means nothing");
    }
    return lines;
}

} // namespace ob
