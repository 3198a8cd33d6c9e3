#include "engine/selftest.h"

#include <algorithm>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

// Golden inputs of one program at one image size, and the right answers to them.
struct Golden {
    std::string program, file;
    Size size;
    std::vector<NamedTensor> inputs, outputs;
    Limits limits;
};

std::string golden_file(const std::string &program, const Size &size) {
    if (program == "main" && size.empty()) return "evidence/golden.npz";
    return str("evidence/golden-", program, size.empty() ? "" : "-" + size_text(size), ".npz");
}

std::vector<Golden> read_golden(const Model &model) {
    const Manifest &manifest = model.artifact.manifest;
    std::vector<Golden> found;
    std::string missing;
    for (const auto &[name, program] : manifest.programs) {
        for (const Size &size : program.image_sizes()) {
            Golden golden{name, golden_file(name, size), size, {}, {}, {}};
            if (!manifest.parity || !manifest.file(golden.file)) {
                if (missing.empty() || golden.file < missing) missing = golden.file;
                continue;
            }
            golden.limits = manifest.parity->limits_for(model.target.variant(), model.target.precision, name);
            std::string data = model.artifact.read(golden.file, MAX_GOLDEN_BYTES);
            for (NamedTensor &one : read_npz(data, golden.file, MAX_GOLDEN_BYTES, OVENBIRD_FILE_CHANGED)) {
                bool input = one.name.compare(0, 6, "input.") == 0;
                if (!input && one.name.compare(0, 7, "output.") != 0) continue;
                one.name.erase(0, input ? 6 : 7);
                (input ? golden.inputs : golden.outputs).push_back(std::move(one));
            }
            found.push_back(std::move(golden));
        }
    }
    if (!missing.empty()) {
        fail(OVENBIRD_SELFTEST_FAILED, manifest.model, " holds no ", missing,
             " with a tolerance: compile it again "
             "with one");
    }
    return found;
}

const NamedTensor *find(const std::vector<NamedTensor> &tensors, const std::string &name) {
    for (const NamedTensor &tensor : tensors) {
        if (tensor.name == name) return &tensor;
    }
    return nullptr;
}

// How many cases there are along the axis that golden inputs have more than those of a network without a batch; 0 where
// they have none.
int64_t count_cases(const Golden &golden, const Program &program) {
    if (program.batched() || golden.inputs.size() != program.inputs.size()) return 0;
    int64_t count = -1;
    for (const TensorSpec &spec : program.inputs) {
        const NamedTensor *tensor = find(golden.inputs, spec.name);
        if (!tensor) return 0;
        int64_t found = tensor->shape.size() > spec.shape.size() ? tensor->shape[0] : 0;
        if (count >= 0 && count != found) return 0;
        count = found;
    }
    return count;
}

std::vector<OutputTensor> run(Session &session, const Golden &golden, int64_t place, int64_t cases) {
    std::vector<ovenbird_tensor> inputs;
    for (const NamedTensor &tensor : golden.inputs) {
        ovenbird_tensor view = tensor.view();
        if (cases) { // one case: without the first dimension
            view.rank -= 1;
            std::copy(tensor.shape.begin() + 1, tensor.shape.end(), view.shape);
            view.bytes /= static_cast<size_t>(cases);
            view.data = tensor.data.data() + view.bytes * static_cast<size_t>(place);
        }
        inputs.push_back(view);
    }
    return session.run(golden.program, inputs.data(), inputs.size(), true);
}

} // namespace

Selftest selftest(Session &session) {
    const Model &model = session.model();
    const Manifest &manifest = model.artifact.manifest;
    for (const auto &[name, record] : manifest.files) model.artifact.verify(name);
    Selftest result{manifest.model, model.target.target, manifest.files.size(), 0, 0, {}};
    for (const Golden &golden : read_golden(model)) {
        const Program program = at(manifest.program(golden.program), golden.size);
        for (const AnswerStep &step : program.answers) {
            if (step.kind == AnswerKind::Boxes) {
                fail(OVENBIRD_SELFTEST_FAILED, "candidates of boxes are not compared here: use ovenbird-rt selftest");
            }
        }
        int64_t cases = count_cases(golden, program), most = 1;
        std::vector<std::vector<OutputTensor>> answers;
        for (int64_t i = 0; i < std::max<int64_t>(cases, 1); ++i) answers.push_back(run(session, golden, i, cases));
        for (size_t i = 0; i < program.outputs.size(); ++i) {
            const TensorSpec &spec = program.outputs[i];
            const NamedTensor *right = find(golden.outputs, spec.name);
            if (!right) {
                fail(OVENBIRD_SELFTEST_FAILED, golden.file, " has no ", spec.name, ": compile the artifact again");
            }
            NamedTensor given{spec.name, spec.dtype, answers[0][i].shape, {}}, expected = *right;
            if (!program.batched()) given.shape.push_front(std::max<int64_t>(cases, 1));
            if (!program.batched() && !cases) expected.shape.push_front(1);
            for (const std::vector<OutputTensor> &answer : answers) {
                given.data.append(reinterpret_cast<const char *>(answer[i].data.data()), answer[i].data.bytes());
            }
            Difference difference = compare(given, expected, golden.limits);
            if (!difference.fault.empty()) {
                std::string where = golden.size.empty() ? "" : " at " + size_text(golden.size);
                fail(OVENBIRD_SELFTEST_FAILED, spec.name, where, " ", difference.fault,
                     ": this machine computes "
                     "otherwise than the one that verified the artifact");
            }
            std::string name = manifest.programs.size() == 1 ? spec.name : str(golden.program, ".", spec.name);
            auto known = std::find_if(result.outputs.begin(), result.outputs.end(),
                                      [&](const auto &one) { return one.first == name; });
            if (known == result.outputs.end()) {
                result.outputs.emplace_back(name, difference);
            } else if (difference.rms >= known->second.rms) {
                known->second = difference;
            }
        }
        for (const NamedTensor &tensor : golden.inputs) {
            if (!tensor.shape.empty()) most = std::max(most, tensor.shape[0]);
        }
        result.rows += most;
        result.tolerance = std::max(result.tolerance, golden.limits.rms);
    }
    return result;
}

} // namespace ob
