// The C interface but for predictions.
#include "api/handles.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

#include "base/limits.h"

using namespace ob;

namespace {

const std::vector<TensorSpec> &specs_of(const ovenbird_artifact *artifact, const char *program, bool inputs) {
    need(artifact, "artifact");
    const Program &found = artifact->model->artifact.manifest.program(program ? program : "");
    return inputs ? found.inputs : found.outputs;
}

ovenbird_status describe(const ovenbird_artifact *artifact, const char *program, size_t index, bool inputs,
                         ovenbird_spec *spec) {
    return guarded([&] {
        need(spec, "spec");
        const std::vector<TensorSpec> &specs = specs_of(artifact, program, inputs);
        if (index >= specs.size()) {
            fail(OVENBIRD_WRONG_OPTION, "index is ", index, ", there are ", specs.size());
        }
        const TensorSpec &found = specs[index];
        *spec = {found.name.c_str(), found.dtype, static_cast<int32_t>(found.shape.size()), {}, found.layout.c_str()};
        std::copy(found.shape.begin(), found.shape.end(), spec->shape);
    });
}

const std::vector<std::string> *labels_of(const ovenbird_artifact *artifact, const char *program, const char *output) {
    const std::vector<std::string> *found = nullptr;
    guarded([&] {
        need(artifact, "artifact");
        need(output, "output");
        const std::string &name = artifact->model->artifact.manifest.program_name(program ? program : "");
        found = artifact->model->labels_of(name, output);
    });
    return found;
}

// Weights in the caller's memory, where kernels can read them. Throws WrongOption.
const ovenbird_memory &checked(const ovenbird_memory &given) {
    need(given.name, "a name of weights");
    if (given.bytes) need(given.data, given.name);
    if (given.bytes && reinterpret_cast<uintptr_t>(given.data) % static_cast<size_t>(ALIGNMENT_BYTES)) {
        fail(OVENBIRD_WRONG_OPTION, shown(given.name), " does not lie at a multiple of ", ALIGNMENT_BYTES, " bytes");
    }
    return given;
}

template <typename Load>
ovenbird_status open_by(const ovenbird_open_options *options, ovenbird_artifact **artifact, const Load &load) {
    return guarded([&] {
        need(artifact, "artifact");
        *artifact = nullptr;
        ovenbird_open_options asked = OVENBIRD_OPEN_OPTIONS;
        take_options(options, asked, "OVENBIRD_OPEN_OPTIONS");
        auto found = std::make_unique<ovenbird_artifact>();
        LoadOptions wanted{asked.public_key, asked.target ? asked.target : "", asked.precision ? asked.precision : "", {}};
        if (asked.weight_count) need(asked.weights, "weights");
        for (size_t i = 0; i < asked.weight_count; ++i) wanted.weights.push_back(checked(asked.weights[i]));
        found->model = load(wanted);
        *artifact = found.release();
    });
}

} // namespace

void ob::need_given(bool given, const char *name) {
    if (!given) fail(OVENBIRD_WRONG_OPTION, name, " is NULL");
}

std::string &ob::last_message() {
    thread_local std::string message;
    return message;
}

ovenbird_status ob::guarded_call(void (*work)(const void *), const void *given) {
    try {
        work(given);
        return OVENBIRD_OK;
    } catch (const Error &error) {
        last_message() = error.message;
        return error.status;
    } catch (const std::bad_alloc &) {
        last_message() = "there is no memory";
        return OVENBIRD_OUT_OF_MEMORY;
    } catch (const std::exception &error) {
        last_message() = one_line(error.what());
        return OVENBIRD_INTERNAL;
    }
}

const char *ovenbird_version(void) { return OVENBIRD_VERSION; }

uint32_t ovenbird_abi_version(void) { return OVENBIRD_ABI_VERSION; }

const char *ovenbird_last_message(void) { return last_message().c_str(); }

const char *ovenbird_status_name(ovenbird_status status) { return status_name(status); }

ovenbird_status ovenbird_open(const char *path, const ovenbird_open_options *options, ovenbird_artifact **artifact) {
    return open_by(options, artifact, [&](const LoadOptions &load) {
        need(path, "path");
        return load_model(path, load);
    });
}

ovenbird_status ovenbird_open_embedded(const void *data, size_t bytes, const ovenbird_open_options *options,
                                       ovenbird_artifact **artifact) {
    return open_by(options, artifact, [&](const LoadOptions &load) {
        need(data, "data");
        return load_embedded({static_cast<const char *>(data), bytes}, load);
    });
}

void ovenbird_artifact_free(ovenbird_artifact *artifact) { delete artifact; }

const char *ovenbird_model_name(const ovenbird_artifact *artifact) {
    return artifact ? artifact->model->artifact.manifest.model.c_str() : "";
}

const char *ovenbird_target_name(const ovenbird_artifact *artifact) {
    return artifact ? artifact->model->target.target.c_str() : "";
}

int ovenbird_has_random_weights(const ovenbird_artifact *artifact) {
    return artifact && artifact->model->artifact.manifest.random_weights;
}

const char *ovenbird_manifest_sha256(const ovenbird_artifact *artifact) {
    return artifact ? artifact->model->artifact.manifest_sha256.c_str() : "";
}

size_t ovenbird_entry_count(const ovenbird_artifact *artifact) {
    return artifact ? artifact->model->plan.entries.size() : 0;
}

ovenbird_status ovenbird_entry_at(const ovenbird_artifact *artifact, size_t index, ovenbird_entry *entry) {
    return guarded([&] {
        need(entry, "entry");
        if (index >= ovenbird_entry_count(artifact)) {
            fail(OVENBIRD_WRONG_OPTION, "index is ", index, ", there are ", ovenbird_entry_count(artifact));
        }
        const PlanEntry &found = artifact->model->plan.entries[index];
        bool sized = found.size.size() == 2;
        *entry = {found.program.c_str(), found.batch, sized ? found.size[0] : 0, sized ? found.size[1] : 0};
    });
}

size_t ovenbird_program_count(const ovenbird_artifact *artifact) {
    return artifact ? artifact->model->artifact.manifest.programs.size() : 0;
}

const char *ovenbird_program_name(const ovenbird_artifact *artifact, size_t index) {
    if (index >= ovenbird_program_count(artifact)) return nullptr;
    return artifact->model->artifact.manifest.programs[index].first.c_str();
}

ovenbird_status ovenbird_input_count(const ovenbird_artifact *artifact, const char *program, size_t *count) {
    return guarded([&] {
        need(count, "count");
        *count = specs_of(artifact, program, true).size();
    });
}

ovenbird_status ovenbird_output_count(const ovenbird_artifact *artifact, const char *program, size_t *count) {
    return guarded([&] {
        need(count, "count");
        *count = specs_of(artifact, program, false).size();
    });
}

ovenbird_status ovenbird_input(const ovenbird_artifact *artifact, const char *program, size_t index,
                               ovenbird_spec *spec) {
    return describe(artifact, program, index, true, spec);
}

ovenbird_status ovenbird_output(const ovenbird_artifact *artifact, const char *program, size_t index,
                                ovenbird_spec *spec) {
    return describe(artifact, program, index, false, spec);
}

size_t ovenbird_label_count(const ovenbird_artifact *artifact, const char *program, const char *output) {
    const std::vector<std::string> *labels = labels_of(artifact, program, output);
    return labels ? labels->size() : 0;
}

const char *ovenbird_label(const ovenbird_artifact *artifact, const char *program, const char *output, size_t index) {
    const std::vector<std::string> *labels = labels_of(artifact, program, output);
    return labels && index < labels->size() ? (*labels)[index].c_str() : nullptr;
}

ovenbird_status ovenbird_session_open(ovenbird_artifact *artifact, int32_t threads, ovenbird_session **session) {
    return guarded([&] {
        need(session, "session");
        *session = nullptr;
        need(artifact, "artifact");
        auto found = std::make_unique<ovenbird_session>();
        found->session = std::make_unique<Session>(artifact->model, threads);
        *session = found.release();
    });
}

void ovenbird_session_free(ovenbird_session *session) { delete session; }

int32_t ovenbird_session_threads(const ovenbird_session *session) { return session ? session->session->threads() : 0; }

ovenbird_status ovenbird_run(ovenbird_session *session, const char *program, const ovenbird_tensor *inputs,
                             size_t input_count, uint32_t flags, ovenbird_result **result) {
    return guarded([&] {
        need(result, "result");
        *result = nullptr;
        need(session, "session");
        if (input_count) need(inputs, "inputs");
        if (flags & ~OVENBIRD_ALLOW_NAN) fail(OVENBIRD_WRONG_OPTION, "flags are ", flags, ", known is 1");
        auto found = std::make_unique<ovenbird_result>();
        std::vector<OutputTensor> outputs =
            session->session->run(program ? program : "", inputs, input_count, flags & OVENBIRD_ALLOW_NAN);
        found->outputs = std::move(outputs);
        found->model = session->session->shared_model();
        *result = found.release();
    });
}

size_t ovenbird_result_count(const ovenbird_result *result) { return result ? result->outputs.size() : 0; }

ovenbird_status ovenbird_result_tensor(const ovenbird_result *result, size_t index, ovenbird_tensor *tensor) {
    return guarded([&] {
        need(result, "result");
        need(tensor, "tensor");
        if (index >= result->outputs.size()) {
            fail(OVENBIRD_WRONG_OPTION, "index is ", index, ", there are ", result->outputs.size());
        }
        const OutputTensor &output = result->outputs[index];
        *tensor = view_of(output.spec->name, output.spec->dtype, output.shape, output.data.data(), output.data.bytes());
    });
}

void ovenbird_result_free(ovenbird_result *result) { delete result; }

void *ovenbird_alloc(size_t bytes) {
    void *memory = nullptr;
    guarded([&] { memory = AlignedBytes(bytes).release(); });
    return memory;
}

void ovenbird_free(void *memory) { std::free(memory); }
