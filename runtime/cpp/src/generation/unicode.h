// What a tokenizer asks of a character: its kind, and how it is written without capitals and accents. The tables are
// Unicode's, as Python has them (unicode_data.inc, written by tests/support/unicode_data.py).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ob {

enum class CharKind {
    Other,
    Space,       // what parts words
    Dropped,     // control characters, and what stands for no character
    Punctuation, // a word of its own
    Ideograph,   // the same
};

CharKind kind_of(int32_t character);

// The character in lower case, decomposed (NFD), without marks: "e" for "É". UTF-8; empty for a mark.
std::string plain_of(int32_t character);

// Without what Python takes for space at begin and end.
std::string stripped(std::string_view text);

} // namespace ob
