// A session: memory for one call at a time, helpers, and the plan's tensors bound to both.
//
//     Session session(model, 2);
//     std::vector<OutputTensor> outputs = session.run("", inputs, count, false);
//
// Safe from many threads, whose calls follow one another. All bytes that kernels read or write lie in the arena, in
// weights and constants, or in inputs at multiples of 64 bytes, the caller's own or copies.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/executor.h"
#include "engine/model.h"
#include "tensors/inputs.h"

namespace ob {

class Session {
  public:
    // `threads` 0: those that are really ours. Throws EngineLoadFailed, WrongOption.
    Session(std::shared_ptr<const Model> model, int threads);
    ~Session();

    const std::shared_ptr<const Model> &shared_model() const { return model_; }
    const Model &model() const { return *model_; }
    int threads() { return wide_.host().pool().threads(); }
    // With `may_share` rows of a batch may be shared out among lanes. Throws UnknownProgram, InputError, PlanMissing,
    // EngineCallFailed, OutOfMemory.
    std::vector<OutputTensor> run(const std::string &program, const ovenbird_tensor *inputs, size_t count,
                                  bool allow_nan, bool may_share = true);

  private:
    struct Choice; // what a batch is made of, and how long each way took
    struct Request;

    Choice &choice_of(const std::string &program, const Size &size, const Request &request, bool may_share);
    void run_wide(const Request &request, const std::vector<int64_t> &calls);
    void run_lanes(const Request &request);

    std::shared_ptr<const Model> model_;
    std::mutex mutex_; // of all below
    Executor wide_;
    std::vector<std::unique_ptr<Executor>> lanes_; // made when a batch is first shared out among them
    std::vector<std::unique_ptr<Choice>> choices_;
};

} // namespace ob
