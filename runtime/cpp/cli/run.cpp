// ovenbird-run run DIR IMAGE..., or DIR -i IN.npz -o OUT.npz
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "commands.h"
#include "engine/predict.h"
#include "tensors/npz.h"

namespace ob {

namespace {

std::string name_of(const std::string &path) { return shown(path.substr(path.rfind('/') + 1)); }

std::vector<NamedTensor> read_tensors(const std::string &path) {
    std::string name = name_of(path);
    File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.descriptor() < 0) {
        fail(OVENBIRD_INPUT_UNREADABLE, name, " cannot be read as .npz: ", reason(errno));
    }
    std::string data;
    try {
        data = file.read_up_to(MAX_TENSORS_FILE_BYTES, name);
    } catch (const Error &error) {
        fail(OVENBIRD_INPUT_UNREADABLE, error.message);
    }
    if (data.compare(0, 6, "\x93NUMPY") == 0) {
        fail(OVENBIRD_INPUT_UNREADABLE, name + " is a single array: save with np.savez(file, name=array)");
    }
    return read_npz(data, name, MAX_TENSORS_FILE_BYTES, OVENBIRD_INPUT_UNREADABLE);
}

// Elsewhere, then renamed: a full disk leaves no half of a file. What is no plain file is written to as it is.
void write_file(const std::string &path, const std::string &data) {
    struct stat state;
    bool as_it_is = lstat(path.c_str(), &state) == 0 && !S_ISREG(state.st_mode);
    size_t name = path.rfind('/') + 1;
    std::string partial = as_it_is ? path : str(path.substr(0, name), ".", path.substr(name), ".", getpid(), ".part");
    FILE *file = std::fopen(partial.c_str(), "wbe");
    bool good = file && std::fwrite(data.data(), 1, data.size(), file) == data.size();
    int error = errno;
    if (file && std::fclose(file) != 0) {
        good = false;
        error = errno;
    }
    if (good && !as_it_is && std::rename(partial.c_str(), path.c_str()) != 0) {
        good = false;
        error = errno;
    }
    if (good) return;
    if (!as_it_is) unlink(partial.c_str());
    fail(OVENBIRD_OUTPUT_NOT_WRITTEN, name_of(path), " cannot be written: ", reason(error));
}

void run_tensors(Session &session, const Options &options) {
    std::vector<NamedTensor> tensors = read_tensors(*options.text("--inputs"));
    std::vector<ovenbird_tensor> inputs;
    for (const NamedTensor &tensor : tensors) inputs.push_back(tensor.view());
    std::vector<NamedTensor> results;
    for (const OutputTensor &output : session.run("", inputs.data(), inputs.size(), false)) {
        std::string data(reinterpret_cast<const char *>(output.data.data()), output.data.bytes());
        results.push_back({output.spec->name, output.spec->dtype, output.shape, std::move(data)});
    }
    write_file(*options.text("--outputs"), npz_bytes(std::move(results)));
}

// Height and width, as in 640 or 320x480.
Size read_sides(const std::string &text) {
    std::vector<std::string> parts = split(text, "x");
    std::vector<int64_t> found;
    for (const std::string &part : parts) {
        bool digits = part.size() < 7 && part.find_first_not_of("0123456789") == part.npos;
        int64_t side = digits ? std::stoll(part) : 0;
        if (side >= 1 && side <= MAX_SIDE_PIXELS) found.push_back(side);
    }
    if (found.size() != parts.size() || found.empty() || found.size() > 2) {
        fail(OVENBIRD_WRONG_OPTION, "image_size is ", shown(text), ", expected HEIGHTxWIDTH or one number, each 1 to ",
             MAX_SIDE_PIXELS, " pixels");
    }
    return {found.front(), found.back()};
}

PredictOptions predict_options(const Options &options) {
    PredictOptions asked;
    asked.preprocess = options.text("--preprocess");
    asked.top = options.whole("--top", 1, MAX_TOP).value_or(asked.top);
    std::optional<int64_t> seed = options.whole("--seed", 0, INT64_MAX);
    asked.seed = seed ? *seed : fresh_seed();
    asked.embedding = options.given("--embedding");
    asked.score = options.real("--score", 0.0, 1.0);
    asked.iou = options.real("--iou", 0.0, 1.0);
    asked.max_boxes = options.whole("--max-boxes", 1, MAX_BOXES);
    std::vector<std::string> classes = options.list("--classes");
    if (!classes.empty()) asked.classes = classes;
    asked.agnostic = options.either("--agnostic", "--by-class");
    asked.prompt = options.text("--prompt");
    asked.max_tokens = options.whole("--max-tokens", 1, MAX_TOKENS);
    asked.beams = options.whole("--beams", 1, MAX_BEAMS);
    if (auto size = options.text("--image-size")) asked.image_size = read_sides(*size);
    asked.max_megapixels = options.real("--max-megapixels", -HUGE_VAL, HUGE_VAL).value_or(asked.max_megapixels);
    return asked;
}

// A row an image, in order: the answer, or why there is none.
std::string rows_of(Session &session, const std::vector<std::string> &names, const PredictOptions &asked,
                    const std::vector<Prediction> &found, const std::vector<Failure> &failures) {
    std::vector<Json> rows;
    for (size_t place = 0, failed = 0; place < names.size(); ++place) {
        JsonObject row;
        row.add("image", names[place]).add("target", session.model().target.target);
        if (failed < failures.size() && failures[failed].place == place) {
            const Error &error = failures[failed++].error;
            row.add("error", error.message).add("type", status_name(error.status));
        } else {
            Json values = json_of(found[place - failed], session.model().artifact.manifest, asked);
            for (size_t i = 0; i < values.names.size(); ++i) row.add(values.names[i], std::move(values.items[i]));
        }
        rows.push_back(row.done());
    }
    return json_text(json_list(std::move(rows)));
}

// Whether each has an answer.
bool run_images(Session &session, const std::vector<std::string> &names, const Options &options) {
    PredictOptions asked = predict_options(options);
    std::vector<Failure> failures;
    std::vector<PictureSource> images;
    for (const std::string &name : names) images.push_back({name.c_str(), nullptr, 0});
    std::vector<Prediction> found = predict(session, images, asked, &failures);
    for (const Failure &failure : failures) print_error(failure.error);
    if (options.given("--json")) {
        print(rows_of(session, names, asked, found, failures));
        return failures.empty();
    }
    for (size_t place = 0, failed = 0; place < names.size(); ++place) {
        if (failed < failures.size() && failures[failed].place == place) {
            ++failed;
            continue;
        }
        print(one_line(names[place]));
        for (const std::string &line : lines_of(found[place - failed], session.model().artifact.manifest)) {
            print("  " + line);
        }
    }
    return failures.empty();
}

} // namespace

int command_run(int count, char **words) {
    std::vector<Options::Known> known = LOADING;
    known.insert(known.end(), {{"--inputs", true},
                               {"--outputs", true},
                               {"--preprocess", true},
                               {"--top", true},
                               {"--seed", true},
                               {"--embedding", false},
                               {"--image-size", true},
                               {"--score", true},
                               {"--iou", true},
                               {"--max-boxes", true},
                               {"--classes", true},
                               {"--agnostic", false},
                               {"--by-class", false},
                               {"--prompt", true},
                               {"--max-tokens", true},
                               {"--beams", true},
                               {"--max-megapixels", true}});
    Options options(known, {{"-i", "--inputs"},
                            {"-o", "--outputs"},
                            {"--imgsz", "--image-size"},
                            {"--conf", "--score"},
                            {"--max-det", "--max-boxes"},
                            {"--agnostic-nms", "--agnostic"}});
    options.parse(count, words);
    std::vector<std::string> names = options.arguments();
    if (names.empty()) throw UsageError{"Missing argument 'DIR'."};
    std::string directory = names[0];
    names.erase(names.begin());
    bool inputs = options.given("--inputs"), outputs = options.given("--outputs");
    if (names.empty() != inputs || inputs != outputs) throw UsageError{"give images, or both --inputs and --outputs"};
    std::unique_ptr<Session> session = load_session(options, directory);
    const Manifest &manifest = session->model().artifact.manifest;
    if (manifest.random_weights) std::fprintf(stderr, "%s\n", weights_line(manifest).c_str());
    if (!inputs) return run_images(*session, names, options) ? 0 : 1;
    run_tensors(*session, options);
    return 0;
}

} // namespace ob
