// Searches for the tokens of one text, fed with logits step by step (`ovenbird_runtime/generation/search.py`, which
// says what they follow).
//
//     std::unique_ptr<TokenSearch> search = search_for(kind, settings, {101});
//     while (!search->done()) {
//         // logits of search->tokens() at search->position(), a row for each
//         std::vector<size_t> parents = search->advance(logits, vocabulary);   // whom each next row goes on from
//     }
//     search->result()                                                       // {101, 1037, 4937, 102}
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "artifact/generation.h"

namespace ob {

using Tokens = std::vector<int64_t>;
using LogitRows = std::vector<const float *>;

// What all searches keep to.
struct SearchSettings {
    Tokens end; // tokens that end a text
    int64_t max_length = 0;
    int64_t no_repeat_ngram_size = 0;
};

class TokenSearch {
  public:
    virtual ~TokenSearch() = default;
    bool done() const { return done_; }
    // How many tokens come before those that are to be fed next.
    size_t position() const { return position_; }
    // The token of each sequence that is to be fed next.
    virtual Tokens tokens() const = 0;
    // The best tokens so far, the prompt among them.
    virtual Tokens result() const = 0;
    // Chooses by the logits behind tokens(), each of `vocabulary` numbers; gives each next row's parent among them.
    // Throws EngineCallFailed for NaN.
    virtual std::vector<size_t> advance(const LogitRows &logits, size_t vocabulary) = 0;

  protected:
    size_t position_ = 0;
    bool done_ = false;
};

// From a prompt of at least one token and less than `max_length`.
std::unique_ptr<TokenSearch> search_for(const SearchKind &kind, const SearchSettings &settings, Tokens prompt);

} // namespace ob
