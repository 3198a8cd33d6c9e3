#include "engine/session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>

#include "base/errors.h"
#include "base/limits.h"
#include "base/sort.h"
#include "base/text.h"
#include "engine/compose.h"
#include "machine/machine.h"

namespace ob {

namespace {

using Duration = std::chrono::steady_clock::duration;

constexpr int MAX_LANES = 4; // of a machine of many processors each lane has some
constexpr int SAMPLES = 3;   // of each way before they are compared; the shortest counts
constexpr size_t MAX_CHOICES = 64;

int checked_threads(int threads) {
    if (threads < 0 || threads > MAX_THREADS) {
        fail(OVENBIRD_WRONG_OPTION, "threads is ", threads, ", expected a whole number from 1 to ", MAX_THREADS);
    }
    return threads ? threads : available_threads();
}

} // namespace

// A call with the entries that may run it, their batch sizes ascending.
struct Session::Request {
    Call call;
    std::vector<std::pair<int64_t, size_t>> entries;
    int64_t batch;
};

// A batch goes through the largest entries by all threads together, or row by row on lanes: what is not known yet is
// tried, then the faster way is taken. Eight images' activations may leave the caches that one image's fit into.
struct Session::Choice {
    std::string program;
    Size size;
    int64_t batch;
    std::vector<int64_t> calls; // the other way's, by their batch sizes
    bool may_share;
    Duration best[2] = {Duration::max(), Duration::max()};
    int seen[2] = {0, 0};

    bool shares_out() const {
        if (!may_share || seen[0] < SAMPLES) return false;
        return seen[1] < SAMPLES || best[1] < best[0];
    }
    void note(bool shared, Duration spent) {
        ++seen[shared];
        best[shared] = std::min(best[shared], spent);
    }
};

Session::Session(std::shared_ptr<const Model> model, int threads)
    : model_(std::move(model)), wide_(*model_, checked_threads(threads)) {}

Session::~Session() = default;

Session::Choice &Session::choice_of(const std::string &program, const Size &size, const Request &request,
                                    bool may_share) {
    for (const auto &one : choices_) {
        if (one->batch == request.batch && one->program == program && one->size == size) return *one;
    }
    if (choices_.size() >= MAX_CHOICES) choices_.clear();
    std::vector<int64_t> sizes;
    for (const auto &[batch, number] : request.entries) sizes.push_back(batch);
    auto batched = [](const TensorSpec &spec) { return spec.batched(); };
    const Program &shape = request.call.program;
    bool rows = std::all_of(shape.inputs.begin(), shape.inputs.end(), batched) &&
                std::all_of(shape.outputs.begin(), shape.outputs.end(), batched);
    may_share = may_share && rows && threads() > 1 && request.batch >= 2 * request.entries.front().first;
    choices_.push_back(std::make_unique<Choice>(
        Choice{program, size, request.batch, plan_batches(request.batch, std::move(sizes)), may_share}));
    return *choices_.back();
}

void Session::run_wide(const Request &request, const std::vector<int64_t> &calls) {
    int64_t start = 0;
    for (int64_t batch : calls) {
        auto chosen = std::find_if(request.entries.begin(), request.entries.end(),
                                   [&](const auto &one) { return one.first == batch; });
        int64_t rows = std::min(batch, request.batch - start);
        wide_.run(chosen->second, request.call, start, rows);
        start += rows;
    }
}

void Session::run_lanes(const Request &request) {
    int count = std::min(threads(), MAX_LANES);
    while (static_cast<int>(lanes_.size()) < count) {
        lanes_.push_back(std::make_unique<Executor>(*model_, threads() / count));
    }
    struct Work {
        Session *session;
        const Request *request;
        std::atomic<int64_t> next{0};
        std::mutex mutex;
        std::exception_ptr error;
    } work{this, &request, {}, {}, {}};
    Task task = [](int number, Group *, void *data) {
        Work &work = *static_cast<Work *>(data);
        const auto &[batch, entry] = work.request->entries.front();
        try {
            for (int64_t start; (start = work.next.fetch_add(batch)) < work.request->batch;) {
                int64_t rows = std::min(batch, work.request->batch - start);
                work.session->lanes_[static_cast<size_t>(number)]->run(entry, work.request->call, start, rows);
            }
        } catch (...) { // the first is thrown again where the call came from
            std::lock_guard lock(work.mutex);
            if (!work.error) work.error = std::current_exception();
            work.next.store(work.request->batch);
        }
        return 0;
    };
    wide_.host().pool().launch(task, &work, count);
    if (work.error) std::rethrow_exception(work.error);
}

std::vector<OutputTensor> Session::run(const std::string &name, const ovenbird_tensor *inputs, size_t count,
                                       bool allow_nan, bool may_share) {
    const Manifest &manifest = model_->artifact.manifest;
    const std::string &program_name = manifest.program_name(name);
    const Program &open = manifest.program(program_name);
    CheckedInputs given = check_inputs(open, inputs, count, allow_nan);
    const Program program = at(open, given.size);
    std::vector<std::pair<int64_t, size_t>> entries; // of this program and size: batch and number
    for (size_t i = 0; i < model_->plan.entries.size(); ++i) {
        const PlanEntry &entry = model_->plan.entries[i];
        if (entry.program != program_name || (!open.sizes.empty() && entry.size != given.size)) continue;
        entries.emplace_back(entry.batch, i);
    }
    sort(entries);
    if (entries.empty()) {
        std::string what = given.size.empty() ? "" : " for images of " + size_text(given.size);
        fail(OVENBIRD_PLAN_MISSING, "program ", program_name, what,
             " has no plan: it runs on TVM's virtual machine "
             "alone; use ovenbird-rt");
    }
    std::vector<OutputTensor> outputs;
    for (size_t i = 0; i < program.outputs.size(); ++i) {
        int64_t bytes = program.outputs[i].bytes(given.batch);
        if (bytes < 0) fail(OVENBIRD_OUT_OF_MEMORY, "there is no memory for the outputs of ", given.batch, " images");
        outputs.push_back(
            {&open.outputs[i], program.outputs[i].with_batch(given.batch), AlignedBytes(static_cast<size_t>(bytes))});
    }
    std::lock_guard lock(mutex_);
    Request request{{program, given, outputs}, entries, given.batch};
    Choice &choice = choice_of(program_name, given.size, request, may_share);
    bool shared = choice.shares_out();
    auto start = std::chrono::steady_clock::now();
    shared ? run_lanes(request) : run_wide(request, choice.calls);
    choice.note(shared, std::chrono::steady_clock::now() - start);
    return outputs;
}

} // namespace ob
