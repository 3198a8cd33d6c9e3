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

#include "engine/host.h"
#include "engine/model.h"
#include "tensors/inputs.h"

namespace ob {

struct OutputTensor {
    const TensorSpec *spec; // of the model
    Shape shape;
    AlignedBytes data;
};

class Session {
  public:
    // `threads` 0: those that are really ours. Throws EngineLoadFailed, WrongOption.
    Session(std::shared_ptr<const Model> model, int threads);

    const std::shared_ptr<const Model> &shared_model() const { return model_; }
    const Model &model() const { return *model_; }
    int threads() { return host_.pool().threads(); }
    // Throws UnknownProgram, InputError, PlanMissing, EngineCallFailed, OutOfMemory.
    std::vector<OutputTensor> run(const std::string &program, const ovenbird_tensor *inputs, size_t count,
                                  bool allow_nan);

  private:
    struct Bound; // one entry of the plan with its tensors

    Bound &bind(size_t entry, const Program &program);
    void execute(Bound &bound);

    std::shared_ptr<const Model> model_;
    Host host_;
    std::mutex mutex_; // of all below
    Memory arena_;
    std::vector<std::shared_ptr<Bound>> bound_; // by entry, made when it is first run
};

} // namespace ob
