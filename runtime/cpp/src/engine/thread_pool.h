// The helpers of one session: tasks of a kernel run side by side, on the caller's thread and on theirs.
//
//     ThreadPool pool(2);                       // the caller and one helper
//     pool.launch(task, data, 0);               // returns when every task has ended; 0 tasks: as many as suit it
//
// There is no queue: one job at a time lies in one slot. The invariant:
//
// - The owner of the slot is the thread that is in `launch`; the session lets in one at a time.
// - `state_` holds an epoch, whether the job is open, and how many helpers are in it. The owner alone opens and closes;
//   a helper alone joins (only while open, only the epoch that it saw) and leaves.
// - The owner writes the slot only while it is closed and nobody is in it. So a helper that has joined may read it.
// - A task is taken by whoever clears its bit in `free_`. Each thread has a number, and takes first the tasks that are
//   its own by it, side by side: what it wrote last lies in its cache, and the same tasks of the next kernel mostly read
//   that. Then it takes what others have not begun, from the far end: a helper that the system does not run joins late
//   or never, and the owner waits for those who have joined, not for all.
// - A kernel asks for no number of tasks: it divides its work among as many as there are, and what it computes does not
//   depend on that. So there are several a thread, and a helper that the system stops costs no more than one of them.
// - Who waits long for that one sleeps: the system then runs the helper on the processor that has become free, where it
//   would leave it in line behind another process on its own.
//
// Helpers look for work for a moment after each job, then sleep; they end with the pool.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/kernel_abi.h"

namespace ob {

class ThreadPool {
  public:
    // `enter` is called by each helper once, on its own thread. Throws EngineLoadFailed where no thread can be started.
    ThreadPool(int threads, void (*enter)(void *), void *owner);
    ~ThreadPool();
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool &operator=(const ThreadPool &) = delete;

    int threads() const { return threads_; }
    // Runs `count` tasks; 0 where all succeeded.
    int launch(Task task, void *data, int count);

  private:
    void help(int number);
    bool join(uint64_t &seen);
    void work(int number);
    int take(uint64_t own);
    void wait();
    void stop();
    bool news(uint64_t seen) const;

    // The slot
    Task task_ = nullptr;
    void *data_ = nullptr;
    Group group_{nullptr, 0};
    std::atomic<int> failed_{0};

    alignas(64) std::atomic<uint64_t> state_{0};
    alignas(64) std::atomic<uint64_t> free_{0}; // of the first 64 tasks
    std::atomic<int> next_{0};                  // of those behind them
    alignas(64) std::atomic<int> sleeping_{0};
    std::atomic<bool> stopping_{false};
    std::mutex mutex_; // of `wake_`
    std::condition_variable wake_;
    int threads_;
    bool spin_;
    void (*enter_)(void *);
    void *owner_;
    std::vector<std::thread> helpers_;
};

} // namespace ob
