// What a user may ask of a text, and gets (`ovenbird_runtime/generation/text.py`).
#pragma once

#include "answers/asked.h"
#include "answers/text.h"
#include "generation/generator.h"
#include "generation/wordpiece.h"

namespace ob {

// The model's own way to a text, changed by what was asked for; `widest`: sequences at a time at most. Throws
// WrongOption.
TextRequest text_request(const TextLoop &loop, const WordPieces &pieces, const PredictOptions &options, int64_t widest);

// The answer of a search that is done.
TextAnswer text_of(const TextLoop &loop, const WordPieces &pieces, const Tokens &tokens);

} // namespace ob
