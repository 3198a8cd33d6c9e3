// Who runs entries of the plan: threads, an arena, and the plan's tensors bound to both; one call at a time.
//
//     Executor executor(*model, 2);
//     executor.run(entry, {program, given, outputs}, 0, rows);
#pragma once

#include <memory>
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

// A call as it was checked: the program at its image size, what it is given, where its outputs go.
struct Call {
    const Program &program;
    const CheckedInputs &given;
    std::vector<OutputTensor> &outputs;
};

class Executor {
  public:
    Executor(const Model &model, int threads);
    ~Executor();

    Host &host() { return host_; }
    // Runs entry `number` of the plan on `rows` rows from `start` on, zeros behind them where it takes more. Throws
    // EngineCallFailed.
    void run(size_t number, const Call &call, int64_t start, int64_t rows);
    // Calls the kernels of an entry that has run once more, on what it ran on: what a call costs without its binding.
    void repeat(size_t number);

  private:
    struct Bound; // one entry of the plan with its tensors

    Bound &bind(size_t number, const Program &program);
    void execute(Bound &bound);

    const Model &model_;
    Host host_;
    Memory arena_;
    std::vector<std::unique_ptr<Bound>> bound_; // by entry, made when it is first run
};

} // namespace ob
