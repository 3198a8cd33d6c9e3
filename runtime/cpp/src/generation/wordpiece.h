// BERT's WordPiece: tokens to text, and a prompt to tokens (`ovenbird_runtime/generation/wordpiece.py`).
//
//     WordPieces pieces(lines, loop.hidden, loop.lower_case);
//     pieces.text({101, 1037, 4937, 102})          // "a cat"
//     pieces.tokens("What is this?")               // {2054, 2003, 2023, 1029}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ob {

class WordPieces {
  public:
    WordPieces() = default;
    WordPieces(std::vector<std::string> pieces, std::vector<int64_t> hidden, bool lower_case);

    // A number beyond the vocabulary is unknown.
    std::string text(const std::vector<int64_t> &tokens) const;
    // Without any for its begin or end. `text` is UTF-8.
    std::vector<int64_t> tokens(std::string_view text) const;

  private:
    int64_t find(std::string_view piece) const; // -1 where there is none
    void split(std::string_view word, std::vector<int64_t> &found) const;

    std::vector<std::string> pieces_;
    std::vector<int64_t> hidden_;  // sorted
    std::vector<uint32_t> sorted_; // places of pieces in their order; of equal ones the last alone
    bool lower_case_ = true;
};

} // namespace ob
