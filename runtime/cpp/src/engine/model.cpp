#include "engine/model.h"

#include <algorithm>
#include <tuple>

#include "artifact/bundle.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "engine/host.h"
#include "machine/variant.h"

namespace ob {

namespace {

bool begins(const std::string &text, const std::string &head) { return text.compare(0, head.size(), head) == 0; }

// The digests of all files but other variants' own; code and weights are checked as they are read.
void verify_files(const Model &model) {
    const Manifest &manifest = model.artifact.manifest;
    for (const auto &[name, record] : manifest.files) {
        bool skipped = begins(name, "weights/") || name == model.variant.path + "/model.so";
        for (const VariantRef &other : manifest.variants) {
            skipped = skipped || (other.path != model.variant.path && begins(name, other.path + "/"));
        }
        if (!skipped && !is_left_out(model.artifact.root, name)) model.artifact.verify(name);
    }
}

// Where a file of weights lies once it is checked: in the caller's memory, or in the model's.
const unsigned char *place_file(Model &model, const std::string &name, const std::vector<ovenbird_memory> &given) {
    for (const ovenbird_memory &one : given) {
        if (name != one.name) continue;
        model.artifact.check(name, {static_cast<const char *>(one.data), one.bytes});
        return static_cast<const unsigned char *>(one.data);
    }
    return model.files.emplace_back(model.artifact.keep(name)).data();
}

void place_weights(Model &model, const std::vector<ovenbird_memory> &given) {
    std::vector<std::pair<std::string, const unsigned char *>> places; // of one file, or of a few
    for (const WeightTensor &tensor : model.target.tensors) {
        auto known = std::find_if(places.begin(), places.end(), [&](const auto &one) { return one.first == tensor.file; });
        if (known == places.end()) {
            known = places.insert(known, {tensor.file, place_file(model, tensor.file, given)});
        }
        model.weights.push_back(known->second + tensor.offset); // within the file: the target was checked
    }
}

void find_kernels(Model &model) {
    for (const PlanEntry &entry : model.plan.entries) {
        std::vector<Kernel> found;
        for (const PlanCall &call : entry.calls) {
            void *address = model.image->find("__tvm_ffi_" + call.kernel);
            if (!address) {
                fail(OVENBIRD_ENGINE_LOAD_FAILED, model.variant.path, "/model.so has no kernel ", shown(call.kernel),
                     ", which its plan calls: compile the artifact again");
            }
            found.push_back(reinterpret_cast<Kernel>(address));
        }
        model.kernels.push_back(std::move(found));
    }
}

void read_labels(Model &model) {
    for (const auto &[name, program] : model.artifact.manifest.programs) {
        for (const AnswerStep &step : program.answers) {
            if (!step.labels) continue;
            std::optional<int64_t> count;
            for (const TensorSpec &spec : program.outputs) {
                bool known = step.kind == AnswerKind::Classification || step.kind == AnswerKind::Text;
                if (spec.name == step.output && known) count = spec.shape.back();
            }
            model.labels.push_back({{name, step.output}, model.artifact.read_labels(*step.labels, count)});
        }
    }
}

void read_pieces(Model &model) {
    const std::optional<TextLoop> &loop = model.artifact.manifest.loop;
    if (!loop) return;
    std::string text = model.artifact.read(loop->vocabulary, MAX_VOCABULARY_BYTES);
    if (!is_utf8(text)) fail(OVENBIRD_FILE_CHANGED, loop->vocabulary, " is not UTF-8 text");
    std::vector<std::string> pieces = lines_of(text);
    for (std::string &piece : pieces) {
        if (!piece.empty() && piece.back() == '\r') piece.pop_back();
    }
    model.pieces = WordPieces(std::move(pieces), loop->hidden, loop->lower_case);
}

} // namespace

const std::vector<std::string> *Model::labels_of(const std::string &program, const std::string &output) const {
    for (const auto &[key, found] : labels) {
        if (key.first == program && key.second == output) return &found;
    }
    return nullptr;
}

namespace {

std::shared_ptr<const Model> load(Artifact artifact, const LoadOptions &options) {
    auto model = std::make_shared<Model>();
    model->artifact = std::move(artifact);
    std::tie(model->variant, model->target) =
        choose_variant(model->artifact, this_machine(), options.target, options.precision);
    std::optional<Plan> plan = model->artifact.read_plan(model->variant, model->target);
    if (!plan) {
        fail(OVENBIRD_PLAN_MISSING, model->variant.path,
             " has no plan.json: it runs on TVM's virtual machine alone; "
             "use ovenbird-rt");
    }
    model->plan = std::move(*plan);
    verify_files(*model);
    read_labels(*model);
    read_pieces(*model);
    place_weights(*model, options.weights);
    std::string code = model->variant.path + "/model.so";
    Memory file = model->artifact.keep(code);
    model->image = std::make_unique<ElfImage>(file.data(), file.bytes(), code, host_symbols());
    find_kernels(*model);
    return model;
}

} // namespace

std::shared_ptr<const Model> load_model(const std::string &path, const LoadOptions &options) {
    return load(open_artifact(path, options.public_key), options);
}

std::shared_ptr<const Model> load_embedded(std::string_view data, const LoadOptions &options) {
    Artifact artifact = open_embedded(data, options.public_key);
    LoadOptions asked = options;
    if (asked.target.empty()) asked.target = read_bundle(File(data))->target;
    return load(std::move(artifact), asked);
}

} // namespace ob
