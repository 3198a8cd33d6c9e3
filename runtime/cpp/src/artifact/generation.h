// How the programs of a model make text: what runs once a picture, what at every step, and what stays between calls
// (`ovenbird_runtime/manifest/generation.py`, which explains states and loops).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "artifact/program.h"

namespace ob {

// A program's tensor that is a state: an input that is all of it, or an output of rows that follow.
struct StateUse {
    std::string program, tensor;
};

// One tensor of a sequence that stays with the runtime between calls.
struct KeptState {
    std::string name;
    ovenbird_dtype dtype = OVENBIRD_FLOAT32;
    Shape shape;     // of one sequence, without the batch
    size_t axis = 0; // along which rows are added
    std::vector<StateUse> reads, writes;

    int64_t capacity() const { return shape[axis]; }
    int64_t bytes() const { return product(shape, info(dtype).bytes); }
};

enum class EarlyStopping { No, Yes, Never };

// Greedy with one beam.
struct SearchKind {
    int64_t beams = 1;
    double length_penalty = 1.0;
    EarlyStopping early_stopping = EarlyStopping::No;
};

struct TextLoop {
    std::vector<std::string> once; // programs run for each picture, in this order
    std::string step;              // run for each token
    std::string token, position, logits;
    std::vector<int64_t> begin, end, hidden;
    int64_t max_length = 0;
    std::string vocabulary; // the file of its pieces
    bool lower_case = true;
    SearchKind search;
    int64_t no_repeat_ngram_size = 0;

    bool ends(int64_t token) const;
};

using NamedPrograms = std::vector<std::pair<std::string, Program>>;

std::vector<KeptState> read_states(const Value &value);
SearchKind read_search(const Value &value);
TextLoop read_loop(const Value &value);

// The states that a program reads or writes: its tensor's name, and the state's place.
using StateUses = std::vector<std::pair<std::string, size_t>>;
StateUses reads_of(const std::vector<KeptState> &states, const std::string &program);
StateUses writes_of(const std::vector<KeptState> &states, const std::string &program);

// Checks states and loop against the programs; throws ManifestInvalid (generation_checks.cpp).
void check_generation(const NamedPrograms &programs, const std::vector<KeptState> &states,
                      const std::optional<TextLoop> &loop, const std::vector<std::string> &files,
                      const std::string &where);

} // namespace ob
