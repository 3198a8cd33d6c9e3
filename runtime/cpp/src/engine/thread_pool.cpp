#include "engine/thread_pool.h"

#include <chrono>
#include <system_error>

#include "base/errors.h"
#include "base/text.h"
#include "machine/machine.h"

namespace ob {

namespace {

constexpr uint64_t INSIDE = 0xffff, OPEN = 0x10000, EPOCH = 0x20000;
constexpr auto SPIN = std::chrono::microseconds(200); // longer than what lies between two kernels
constexpr int PAUSES = 64;                            // between two looks at the clock

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ __volatile__("yield");
#endif
}

} // namespace

ThreadPool::ThreadPool(int threads, void (*enter)(void *), void *owner)
    : spin_(threads <= available_threads()), enter_(enter), owner_(owner) {
    try {
        for (int i = 1; i < threads; ++i) helpers_.emplace_back([this] { help(); });
    } catch (const std::system_error &error) {
        stop();
        fail(OVENBIRD_ENGINE_LOAD_FAILED,
             str("a thread cannot be started: ", error.code().message(), "; end some, or raise the limit of them"));
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
    stopping_.store(true);
    {
        std::lock_guard lock(mutex_);
        wake_.notify_all();
    }
    for (std::thread &helper : helpers_) helper.join();
    helpers_.clear();
}

// Whether there is an open job that is not the one that was seen, or none will come.
bool ThreadPool::news(uint64_t seen) const {
    uint64_t state = state_.load();
    return ((state & OPEN) && state / EPOCH != seen) || stopping_.load();
}

// Joins an open job; false where it was closed meanwhile.
bool ThreadPool::join(uint64_t &seen) {
    uint64_t state = state_.load();
    while ((state & OPEN) && state / EPOCH != seen) {
        if (state_.compare_exchange_weak(state, state + 1)) {
            seen = state / EPOCH;
            return true;
        }
    }
    return false;
}

void ThreadPool::help() {
    enter_(owner_);
    uint64_t seen = 0;
    while (!stopping_.load()) {
        if (join(seen)) {
            work();
            state_.fetch_sub(1);
            continue;
        }
        auto end = std::chrono::steady_clock::now() + SPIN;
        while (spin_ && !news(seen) && std::chrono::steady_clock::now() < end) {
            for (int i = 0; i < PAUSES && !news(seen); ++i) pause();
        }
        if (news(seen)) continue;
        // Whoever opens a job looks at `sleeping_` afterwards, and we look for a job after we have counted ourselves.
        sleeping_.fetch_add(1);
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return news(seen); });
        sleeping_.fetch_sub(1);
    }
}

void ThreadPool::work() {
    for (int task; (task = next_.fetch_add(1)) < group_.num_task;) {
        if (task_(task, &group_, data_) != 0) failed_.store(1);
    }
}

int ThreadPool::launch(Task task, void *data, int count) {
    task_ = task;
    data_ = data;
    group_.num_task = count > 0 ? count : threads();
    failed_.store(0, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    if (helpers_.empty() || group_.num_task == 1) {
        work();
        return failed_.load(std::memory_order_relaxed);
    }
    state_.store((state_.load(std::memory_order_relaxed) / EPOCH + 1) * EPOCH | OPEN); // closed and empty until here
    if (sleeping_.load() > 0) {
        std::lock_guard lock(mutex_);
        wake_.notify_all();
    }
    work();
    state_.fetch_and(~OPEN);
    for (int spins = 0; state_.load() & INSIDE; ++spins) {
        if (spin_ && spins < 1 << 14) {
            pause();
        } else {
            std::this_thread::yield();
        }
    }
    return failed_.load(std::memory_order_relaxed);
}

} // namespace ob
