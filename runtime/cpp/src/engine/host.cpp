#include "engine/host.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

thread_local Host *current = nullptr;
thread_local bool in_task = false;

// Scratch memory of kernels, kept for their next call: the C library would give it back to the system and fetch it
// again, page by page, with each call.
class Scratch {
  public:
    void *take(size_t bytes) {
        for (Block &block : blocks_) {
            if (!block.used && block.bytes >= bytes) {
                block.used = true;
                return block.memory.get();
            }
        }
        // The largest block that is free makes way for a larger one.
        for (size_t i = 0; i < blocks_.size(); ++i) {
            if (blocks_[i].used) continue;
            blocks_.erase(blocks_.begin() + static_cast<long>(i));
            break;
        }
        size_t rounded = (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        void *memory = std::aligned_alloc(ALIGNMENT_BYTES, rounded ? rounded : ALIGNMENT_BYTES);
        if (memory) blocks_.push_back({std::unique_ptr<void, void (*)(void *)>(memory, std::free), rounded, true});
        return memory;
    }

    void give_back(void *memory) {
        for (Block &block : blocks_) {
            if (block.memory.get() == memory) block.used = false;
        }
    }

  private:
    struct Block {
        std::unique_ptr<void, void (*)(void *)> memory;
        size_t bytes;
        bool used;
    };
    std::vector<Block> blocks_; // a kernel asks for one or two
};

thread_local Scratch scratch;

int run_task(int task, Group *group, void *data) {
    struct Work {
        Task task;
        void *data;
    };
    const Work *work = static_cast<const Work *>(data);
    in_task = true;
    int code = work->task(task, group, work->data);
    in_task = false;
    return code;
}

int launch(Task task, void *data, int count) {
    if (!current || in_task) { // a task that launches tasks: one after another
        Group group{nullptr, count > 0 ? count : 1};
        int failed = 0;
        for (int i = 0; i < group.num_task; ++i) failed |= task(i, &group, data);
        return failed;
    }
    struct Work {
        Task task;
        void *data;
    } work{task, data};
    return current->pool().launch(run_task, &work, count);
}

void *allocate(int, int, uint64_t bytes, int, int) {
    try {
        return bytes <= static_cast<uint64_t>(MAX_FILE_BYTES) ? scratch.take(bytes) : nullptr;
    } catch (...) { // no exception may pass through compiled code
        return nullptr;
    }
}

int release(int, int, void *memory) {
    scratch.give_back(memory);
    return 0;
}

void set_error(const char *kind, const char **parts, int32_t count) {
    try {
        std::string message = str(kind ? kind : "error", ": ");
        for (int32_t i = 0; i < count; ++i) message += parts[i] ? parts[i] : "";
        if (current) current->note(message);
    } catch (...) {
    }
}

using Unary32 = float (*)(float);
using Unary64 = double (*)(double);
using Binary32 = float (*)(float, float);
using Binary64 = double (*)(double, double);

struct Symbol {
    char name[16];
    void *address;
};

template <typename Function> void *address(Function *function) { return reinterpret_cast<void *>(function); }

#define OB_UNARY(name)                                                                                                 \
    {#name, address(static_cast<Unary64>(::name))}, { #name "f", address(static_cast<Unary32>(::name##f)) }
#define OB_BINARY(name)                                                                                                \
    {#name, address(static_cast<Binary64>(::name))}, { #name "f", address(static_cast<Binary32>(::name##f)) }

void *find_symbol(std::string_view name) {
    using Copy = void *(*)(void *, const void *, size_t);
    static const Symbol symbols[] = {
        {"memcpy", address(static_cast<Copy>(std::memcpy))},
        {"memmove", address(static_cast<Copy>(std::memmove))},
        {"memset", address(static_cast<void *(*)(void *, int, size_t)>(std::memset))},
        OB_UNARY(acos),
        OB_UNARY(acosh),
        OB_UNARY(asin),
        OB_UNARY(asinh),
        OB_UNARY(atan),
        OB_UNARY(atanh),
        OB_UNARY(cbrt),
        OB_UNARY(ceil),
        OB_UNARY(cos),
        OB_UNARY(cosh),
        OB_UNARY(erf),
        OB_UNARY(erfc),
        OB_UNARY(exp),
        OB_UNARY(exp2),
        OB_UNARY(expm1),
        OB_UNARY(fabs),
        OB_UNARY(floor),
        OB_UNARY(lgamma),
        OB_UNARY(log),
        OB_UNARY(log10),
        OB_UNARY(log1p),
        OB_UNARY(log2),
        OB_UNARY(nearbyint),
        OB_UNARY(rint),
        OB_UNARY(round),
        OB_UNARY(sin),
        OB_UNARY(sinh),
        OB_UNARY(sqrt),
        OB_UNARY(tan),
        OB_UNARY(tanh),
        OB_UNARY(tgamma),
        OB_UNARY(trunc),
        OB_BINARY(atan2),
        OB_BINARY(copysign),
        OB_BINARY(fmax),
        OB_BINARY(fmin),
        OB_BINARY(fmod),
        OB_BINARY(hypot),
        OB_BINARY(nextafter),
        OB_BINARY(pow),
        OB_BINARY(remainder),
    };
    if (name == "TVMFFIErrorSetRaisedFromCStrParts") return address(set_error); // longer than all others
    for (const Symbol &symbol : symbols) {
        if (name == symbol.name) return symbol.address;
    }
    return nullptr;
}

} // namespace

HostSymbols host_symbols() {
    return {find_symbol,
            {{"__TVMBackendParallelLaunch", address(launch)},
             {"__TVMBackendAllocWorkspace", address(allocate)},
             {"__TVMBackendFreeWorkspace", address(release)}}};
}

Host::Host(int threads) : pool_(threads, [](void *host) { current = static_cast<Host *>(host); }, this) {}

void Host::note(std::string message) {
    std::lock_guard lock(mutex_);
    if (error_.empty()) error_ = std::move(message);
}

std::string Host::take_error() {
    std::lock_guard lock(mutex_);
    return std::exchange(error_, {});
}

CallScope::CallScope(Host &host) : before_(current) { current = &host; }

CallScope::~CallScope() { current = before_; }

} // namespace ob
