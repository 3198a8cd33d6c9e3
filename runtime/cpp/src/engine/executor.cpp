#include "engine/executor.h"

#include <algorithm>
#include <cstring>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

struct Executor::Bound {
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

int64_t largest_arena(const Plan &plan) {
    int64_t most = 0;
    for (const PlanEntry &entry : plan.entries) most = std::max(most, entry.arena_bytes);
    return most;
}

bool is_aligned(const void *data) { return reinterpret_cast<uintptr_t>(data) % ALIGNMENT_BYTES == 0; }

} // namespace

Executor::Executor(const Model &model, int threads)
    : model_(model), host_(threads), arena_(static_cast<size_t>(largest_arena(model.plan)), "an arena"),
      bound_(model.plan.entries.size()) {}

Executor::~Executor() = default;

Executor::Bound &Executor::bind(size_t number, const Program &program) {
    if (bound_[number]) return *bound_[number];
    const PlanEntry &entry = model_.plan.entries[number];
    auto bound = std::make_unique<Bound>();
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
        case Place::Weight: tensor.data = const_cast<unsigned char *>(model_.weights[at]); break; // pages are read-only
        case Place::Constant: tensor.data = bound->constants.data() + places[at]; break;
        case Place::Input: bound->input_tensors[at].push_back(bound->tensors.size()); break;
        }
        bound->tensors.push_back(tensor);
    }
    for (size_t i = 0; i < entry.calls.size(); ++i) {
        const PlanCall &call = entry.calls[i];
        bound->calls.push_back({model_.kernels[number][i], &call.kernel, bound->arguments.size(),
                                static_cast<int32_t>(call.reads.size() + call.writes.size())});
        for (uint32_t index : call.reads) bound->arguments.emplace_back(&bound->tensors[index]);
        for (uint32_t index : call.writes) bound->arguments.emplace_back(&bound->tensors[index]);
    }
    bound_[number] = std::move(bound);
    return *bound_[number];
}

void Executor::execute(Bound &bound) {
    CallScope scope(host_);
    for (const Bound::Call &call : bound.calls) {
        Any result;
        if (call.kernel(nullptr, bound.arguments.data() + call.first, call.count, &result) == 0) continue;
        std::string why = host_.take_error();
        fail(OVENBIRD_ENGINE_CALL_FAILED, *call.name, " failed: ", why.empty() ? "it does not say why" : why);
    }
}

void Executor::repeat(size_t number) { execute(*bound_[number]); }

void Executor::run(size_t number, const Call &call, int64_t start, int64_t rows) {
    const PlanEntry &entry = model_.plan.entries[number];
    const Program &program = call.program;
    Bound &bound = bind(number, program);
    for (size_t i = 0; i < program.inputs.size(); ++i) {
        const TensorSpec &spec = program.inputs[i];
        size_t whole = static_cast<size_t>(spec.bytes(entry.batch)),
               row = spec.batched() ? whole / static_cast<size_t>(entry.batch) : 0;
        size_t wanted = spec.batched() ? row * static_cast<size_t>(rows) : whole;
        const unsigned char *data = call.given.tensors[i].data + row * static_cast<size_t>(start);
        if (wanted != whole || !is_aligned(data)) {
            if (bound.inputs[i].bytes() < whole) bound.inputs[i] = AlignedBytes(whole);
            std::memcpy(bound.inputs[i].data(), data, wanted);
            std::memset(bound.inputs[i].data() + wanted, 0, whole - wanted); // padding
            data = bound.inputs[i].data();
        }
        for (size_t tensor : bound.input_tensors[i]) bound.tensors[tensor].data = const_cast<unsigned char *>(data);
    }
    execute(bound);
    for (size_t i = 0; i < call.outputs.size(); ++i) {
        size_t whole = static_cast<size_t>(program.outputs[i].bytes(entry.batch));
        size_t row = program.outputs[i].batched() ? whole / static_cast<size_t>(entry.batch) : 0;
        size_t wanted = row ? row * static_cast<size_t>(rows) : whole;
        std::memcpy(call.outputs[i].data.data() + row * static_cast<size_t>(start),
                    bound.tensors[entry.outputs[i]].data, wanted);
    }
}

} // namespace ob
