// Text: what a model wrote of a picture step by step, and lines that were read by CTC
// (`ovenbird_runtime/postprocess/text.py`).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "answers/row.h"

namespace ob {

struct TextAnswer {
    std::string text;
    std::vector<int64_t> tokens; // of a text that was made token by token
    bool ended = false;          // by one of its own tokens, not by its length
    double confidence = 0;       // 0 to 1, of a line that was read
    bool was_read = false;
};

// A line, from probabilities of classes at each place along it, float32 [T, V]: the best class at each place, runs
// once, without blanks.
TextAnswer read_line(const Row &probabilities, const std::vector<std::string> &labels, int64_t blank);

Json json_of(const TextAnswer &answer);
std::string line_of(const TextAnswer &answer);

} // namespace ob
