#include "engine/session.h"

#include <algorithm>
#include <cstring>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "engine/compose.h"
#include "machine/machine.h"

namespace ob {

struct Session::Bound {
    struct Call {
        Kernel kernel;
        const std::string *name;
        size_t first; // of `arguments`
        int32_t count;
    };
    std::vector<std::vector<int64_t>> strides;
    std::vector<DLTensor> tensors; // of the entry's buffers
    std::vector<Any> arguments;
    std::vector<Call> calls;
    AlignedBytes constants;
    std::vector<AlignedBytes> inputs;               // copies of the caller's, made where one is needed
    std::vector<std::vector<size_t>> input_tensors; // which tensors view each input
};

namespace {

int checked_threads(int threads) {
    if (threads < 0 || threads > MAX_THREADS) {
        fail(OVENBIRD_WRONG_OPTION, str("threads is ", threads, ", expected a whole number from 1 to ", MAX_THREADS));
    }
    return threads ? threads : available_threads();
}

int64_t largest_arena(const Plan &plan) {
    int64_t most = 0;
    for (const PlanEntry &entry : plan.entries) most = std::max(most, entry.arena_bytes);
    return most;
}

bool is_aligned(const void *data) { return reinterpret_cast<uintptr_t>(data) % ALIGNMENT_BYTES == 0; }

} // namespace

Session::Session(std::shared_ptr<const Model> model, int threads)
    : model_(std::move(model)), host_(checked_threads(threads)),
      arena_(static_cast<size_t>(largest_arena(model_->plan)), "an arena"), bound_(model_->plan.entries.size()) {}

Session::Bound &Session::bind(size_t number, const Program &program) {
    if (bound_[number]) return *bound_[number];
    const PlanEntry &entry = model_->plan.entries[number];
    auto bound = std::make_shared<Bound>();
    auto up = [](size_t bytes) { return (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES; };
    std::vector<size_t> places;
    size_t total = 0;
    for (const std::string &bytes : entry.constants) {
        places.push_back(total);
        total += up(bytes.size());
    }
    bound->constants = AlignedBytes(total);
    for (size_t i = 0; i < places.size(); ++i) {
        std::memcpy(bound->constants.data() + places[i], entry.constants[i].data(), entry.constants[i].size());
    }
    bound->inputs.resize(program.inputs.size());
    bound->input_tensors.resize(program.inputs.size());
    bound->strides.reserve(entry.buffers.size());
    bound->tensors.reserve(entry.buffers.size());
    for (const Buffer &buffer : entry.buffers) {
        std::vector<int64_t> strides(std::max<size_t>(buffer.shape.size(), 1), 1);
        for (size_t d = buffer.shape.size(); d-- > 1;) strides[d - 1] = strides[d] * buffer.shape[d];
        bound->strides.push_back(std::move(strides));
        DLTensor tensor;
        size_t at = static_cast<size_t>(buffer.at);
        tensor.ndim = static_cast<int32_t>(buffer.shape.size());
        tensor.code = info(buffer.dtype).code;
        tensor.bits = info(buffer.dtype).bits;
        tensor.strides = bound->strides.back().data();
        tensor.shape = buffer.shape.empty() ? tensor.strides : buffer.shape.data();
        tensor.data = nullptr;
        switch (buffer.place) {
        case Place::Arena: tensor.data = arena_.data() + at; break;
        case Place::Weight:
            tensor.data = const_cast<unsigned char *>(model_->weights[at]);
            break; // pages are read-only
        case Place::Constant: tensor.data = bound->constants.data() + places[at]; break;
        case Place::Input: bound->input_tensors[at].push_back(bound->tensors.size()); break;
        }
        bound->tensors.push_back(tensor);
    }
    for (size_t i = 0; i < entry.calls.size(); ++i) {
        const PlanCall &call = entry.calls[i];
        bound->calls.push_back({model_->kernels[number][i], &call.kernel, bound->arguments.size(),
                                static_cast<int32_t>(call.reads.size() + call.writes.size())});
        for (uint32_t index : call.reads) bound->arguments.emplace_back(&bound->tensors[index]);
        for (uint32_t index : call.writes) bound->arguments.emplace_back(&bound->tensors[index]);
    }
    bound_[number] = bound;
    return *bound_[number];
}

void Session::execute(Bound &bound) {
    CallScope scope(host_);
    for (const Bound::Call &call : bound.calls) {
        Any result;
        if (call.kernel(nullptr, bound.arguments.data() + call.first, call.count, &result) == 0) continue;
        std::string why = host_.take_error();
        fail(OVENBIRD_ENGINE_CALL_FAILED, str(*call.name, " failed: ", why.empty() ? "it does not say why" : why));
    }
}

std::vector<OutputTensor> Session::run(const std::string &name, const ovenbird_tensor *inputs, size_t count,
                                       bool allow_nan) {
    const Manifest &manifest = model_->artifact.manifest;
    const std::string &program_name = manifest.program_name(name);
    const Program &open = manifest.program(program_name);
    CheckedInputs given = check_inputs(open, inputs, count, allow_nan);
    const Program program = at(open, given.size);
    std::vector<std::pair<int64_t, size_t>> entries; // of this program and size: batch and number
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < model_->plan.entries.size(); ++i) {
        const PlanEntry &entry = model_->plan.entries[i];
        if (entry.program != program_name || (!open.sizes.empty() && entry.size != given.size)) continue;
        entries.emplace_back(entry.batch, i);
        sizes.push_back(entry.batch);
    }
    if (entries.empty()) {
        std::string what = given.size.empty() ? "" : " for images of " + size_text(given.size);
        fail(OVENBIRD_PLAN_MISSING, str("program ", program_name, what,
                                        " has no plan: it runs on TVM's virtual machine "
                                        "alone; use ovenbird-rt"));
    }
    std::vector<OutputTensor> outputs;
    for (size_t i = 0; i < program.outputs.size(); ++i) {
        int64_t bytes = program.outputs[i].bytes(given.batch);
        if (bytes < 0)
            fail(OVENBIRD_OUT_OF_MEMORY, str("there is no memory for the outputs of ", given.batch, " images"));
        outputs.push_back(
            {&open.outputs[i], program.outputs[i].with_batch(given.batch), AlignedBytes(static_cast<size_t>(bytes))});
    }
    std::lock_guard lock(mutex_);
    int64_t start = 0;
    for (int64_t batch : plan_batches(given.batch, sizes)) {
        auto chosen = std::find_if(entries.begin(), entries.end(), [&](const auto &one) { return one.first == batch; });
        const PlanEntry &entry = model_->plan.entries[chosen->second];
        Bound &bound = bind(chosen->second, program);
        int64_t rows = std::min(batch, given.batch - start);
        for (size_t i = 0; i < program.inputs.size(); ++i) {
            const TensorSpec &spec = program.inputs[i];
            size_t whole = static_cast<size_t>(spec.bytes(batch)),
                   row = spec.batched() ? whole / static_cast<size_t>(batch) : 0;
            size_t wanted = spec.batched() ? row * static_cast<size_t>(rows) : whole;
            const unsigned char *data = given.tensors[i].data + row * static_cast<size_t>(start);
            if (wanted != whole || !is_aligned(data)) {
                if (bound.inputs[i].bytes() < whole) bound.inputs[i] = AlignedBytes(whole);
                std::memcpy(bound.inputs[i].data(), data, wanted);
                std::memset(bound.inputs[i].data() + wanted, 0, whole - wanted); // padding
                data = bound.inputs[i].data();
            }
            for (size_t tensor : bound.input_tensors[i]) bound.tensors[tensor].data = const_cast<unsigned char *>(data);
        }
        execute(bound);
        for (size_t i = 0; i < outputs.size(); ++i) {
            size_t whole = static_cast<size_t>(program.outputs[i].bytes(batch));
            size_t row = program.outputs[i].batched() ? whole / static_cast<size_t>(batch) : 0;
            size_t wanted = row ? row * static_cast<size_t>(rows) : whole;
            std::memcpy(outputs[i].data.data() + row * static_cast<size_t>(start), bound.tensors[entry.outputs[i]].data,
                        wanted);
        }
        start += rows;
    }
    return outputs;
}

} // namespace ob
