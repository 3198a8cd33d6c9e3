// The thread pool: every task runs once, whatever the helpers do; meant for ThreadSanitizer as well.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "engine/thread_pool.h"

namespace {

struct Counts {
    std::vector<int> runs; // written by one task each: a race would be a second run
    int sum = 0;
};

int count_task(int task, ob::Group *group, void *data) {
    Counts *counts = static_cast<Counts *>(data);
    counts->runs[static_cast<size_t>(task)] += 1;
    return group->num_task != static_cast<int>(counts->runs.size());
}

// Counts the tasks of a launch that asks for no number, and takes longer than an owner spins.
int count_any(int, ob::Group *group, void *data) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    std::atomic<int> *seen = static_cast<std::atomic<int> *>(data);
    return seen->fetch_add(1) >= group->num_task;
}

int fail_last(int task, ob::Group *group, void *) { return task == group->num_task - 1 ? -1 : 0; }

void nothing(void *) {}

} // namespace

void test_pool() {
    for (int threads : {1, 2, 3, 8}) {
        ob::ThreadPool pool(threads, nothing, nullptr);
        CHECK(pool.threads() == threads);
        for (int round = 0; round < 2000; ++round) {
            int tasks = 1 + round % 9;
            Counts counts{std::vector<int>(static_cast<size_t>(tasks), 0)};
            CHECK(pool.launch(count_task, &counts, tasks) == 0);
            for (int runs : counts.runs) CHECK(runs == 1);
            if (round % 500 == 250) std::this_thread::sleep_for(std::chrono::milliseconds(2)); // helpers fall asleep
        }
        std::atomic<int> seen{0};
        for (int round = 0; round < 20; ++round) {
            seen = 0;
            CHECK(pool.launch(count_any, &seen, 0) == 0);
            CHECK(threads == 1 ? seen == 1 : seen > threads); // finer than a piece a thread
        }
        CHECK(pool.launch(fail_last, nullptr, 5) != 0);
        Counts many{std::vector<int>(200, 0)}; // more than have a bit
        CHECK(pool.launch(count_task, &many, 200) == 0); // a failure is forgotten
        for (int runs : many.runs) CHECK(runs == 1);
    }
    for (int round = 0; round < 50; ++round) ob::ThreadPool brief(4, nothing, nullptr); // ends before it began
}
