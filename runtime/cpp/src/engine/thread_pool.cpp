#include "engine/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/errors.h"
#include "base/text.h"
#include "machine/machine.h"

namespace ob {

namespace {

constexpr uint64_t INSIDE = 0xffff, OPEN = 0x10000, EPOCH = 0x20000;
constexpr auto SPIN = std::chrono::microseconds(1000); // longer than a kernel that one thread runs alone
constexpr int PAUSES = 512;                            // before the processor is offered to others
constexpr int MASKED = 64;                             // tasks that have a bit
constexpr int PARTS = 4;                               // tasks of a thread, where a kernel asks for no number
constexpr auto PATIENCE = std::chrono::microseconds(50), NAP = PATIENCE; // of an owner, for a helper's last task

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ __volatile__("yield");
#endif
}

} // namespace

ThreadPool::ThreadPool(int threads, void (*enter)(void *), void *owner)
    : threads_(threads), spin_(threads <= available_threads()), enter_(enter), owner_(owner) {
    try {
        for (int i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { help(i); });
    } catch (const std::system_error &error) {
        stop();
        fail(OVENBIRD_ENGINE_LOAD_FAILED, "a thread cannot be started: ", error.code().message(),
             "; end some, or raise the limit of them");
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

void ThreadPool::help(int number) {
    enter_(owner_);
    uint64_t seen = 0;
    while (!stopping_.load()) {
        if (join(seen)) {
            work(number);
            state_.fetch_sub(1);
            continue;
        }
        for (int i = 0; spin_ && i < PAUSES && !news(seen); ++i) pause();
        auto end = std::chrono::steady_clock::now() + SPIN;
        while (spin_ && !news(seen) && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        if (news(seen)) continue;
        // Whoever opens a job looks at `sleeping_` afterwards, and we look for a job after we have counted ourselves.
        sleeping_.fetch_add(1);
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return news(seen); });
        sleeping_.fetch_sub(1);
    }
}

// Takes a task, one of `own` if there is one; -1 where none is left.
int ThreadPool::take(uint64_t own) {
    for (uint64_t left = free_.load(); left != 0; left = free_.load()) {
        uint64_t mine = left & own;
        int task = mine ? __builtin_ctzll(mine) : MASKED - 1 - __builtin_clzll(left);
        uint64_t bit = uint64_t{1} << task;
        if (free_.fetch_and(~bit) & bit) return task;
    }
    if (group_.num_task <= MASKED) return -1;
    int task = next_.fetch_add(1);
    return task < group_.num_task ? task : -1;
}

void ThreadPool::work(int number) {
    int each = (std::min(group_.num_task, MASKED) + threads_ - 1) / threads_;
    uint64_t own = 0;
    for (int task = number * each; task < std::min((number + 1) * each, MASKED); ++task) own |= uint64_t{1} << task;
    for (int task; (task = take(own)) >= 0;) {
        if (task_(task, &group_, data_) != 0) failed_.store(1);
    }
}

int ThreadPool::launch(Task task, void *data, int count) {
    task_ = task;
    data_ = data;
    group_.num_task = count > 0 ? count : threads_ == 1 ? 1 : threads_ * PARTS;
    failed_.store(0, std::memory_order_relaxed);
    int masked = std::min(group_.num_task, MASKED);
    next_.store(MASKED, std::memory_order_relaxed);
    free_.store(~uint64_t{0} >> (MASKED - masked), std::memory_order_relaxed);
    if (helpers_.empty() || group_.num_task == 1) {
        work(0);
        return failed_.load(std::memory_order_relaxed);
    }
    state_.store((state_.load(std::memory_order_relaxed) / EPOCH + 1) * EPOCH | OPEN); // closed and empty until here
    if (sleeping_.load() > 0) {
        std::lock_guard lock(mutex_);
        wake_.notify_all();
    }
    work(0);
    state_.fetch_and(~OPEN);
    wait();
    return failed_.load(std::memory_order_relaxed);
}

// Returns when nobody is in the job.
void ThreadPool::wait() {
    for (int i = 0; spin_ && i < PAUSES && (state_.load() & INSIDE); ++i) pause();
    auto end = std::chrono::steady_clock::now() + PATIENCE;
    while (state_.load() & INSIDE) {
        if (std::chrono::steady_clock::now() < end) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(NAP);
        }
    }
}

} // namespace ob
