// Texts in flight: begun when there is room, all of them a token further at each step
// (`ovenbird_runtime/generation/generator.py`).
//
//     Generator generator(session, count, request.search.beams);
//     std::vector<Tokens> found = generator.write(pictures, request);        // of each picture, in order
//
// The first `used` slots of the bank are owned, each by one text, which knows them; no others are.
#pragma once

#include <memory>
#include <vector>

#include "engine/session.h"
#include "generation/search.h"
#include "generation/states.h"

namespace ob {

// How one text is searched for, and what is fed before it.
struct TextRequest {
    Tokens prompt;
    SearchKind kind;
    SearchSettings settings;
};

// The batch sizes that a program was compiled for, ascending.
std::vector<int64_t> batches_of(const Model &model, const std::string &program);

class Generator {
  public:
    // For `count` texts of `width` sequences each, as many at a time as the step was compiled for. Throws WrongOption
    // where it was compiled for less than `width`, or states take more memory than they may.
    Generator(Session &session, size_t count, size_t width);

    // Pictures [N, ...] as the first program takes them. Throws EngineCallFailed.
    std::vector<Tokens> write(const ovenbird_tensor &pictures, const TextRequest &request);

  private:
    struct Text;
    struct Prepared;

    Prepared prepare(const ovenbird_tensor &pictures) const;
    void begin(Text &text, const Prepared &prepared, size_t row);
    void step(std::vector<Text> &texts);
    void advance(Text &text, const std::vector<OutputTensor> &outputs);
    void drop(Text &text, std::vector<Text> &texts);

    Session &session_;
    const Manifest &manifest_;
    const TextLoop &loop_;
    std::vector<int64_t> batches_; // of the step
    StateUses reads_, writes_;     // of the step
    StateBank bank_;
};

} // namespace ob
