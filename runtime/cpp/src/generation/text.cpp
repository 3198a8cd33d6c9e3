#include "generation/text.h"

#include <algorithm>

#include "base/errors.h"
#include "base/text.h"

namespace ob {

TextRequest text_request(const TextLoop &loop, const WordPieces &pieces, const PredictOptions &options,
                         int64_t widest) {
    TextRequest request{loop.begin, loop.search, {loop.end, loop.max_length, loop.no_repeat_ngram_size}};
    if (options.prompt) {
        Tokens more = pieces.tokens(*options.prompt);
        request.prompt.insert(request.prompt.end(), more.begin(), more.end());
    }
    int64_t given = static_cast<int64_t>(request.prompt.size());
    if (given >= loop.max_length) {
        fail(OVENBIRD_WRONG_OPTION, "the prompt has ", given, " tokens, the model takes ", loop.max_length - 1,
             ": shorten it");
    }
    if (options.max_tokens) request.settings.max_length = std::min(loop.max_length, given + *options.max_tokens);
    if (options.beams) request.kind.beams = *options.beams;
    if (request.kind.beams > widest) {
        fail(OVENBIRD_WRONG_OPTION, "beams is ", request.kind.beams, ", the model was compiled for ", widest,
             " sequences at a time");
    }
    return request;
}

TextAnswer text_of(const TextLoop &loop, const WordPieces &pieces, const Tokens &tokens) {
    TextAnswer answer;
    answer.text = pieces.text(tokens);
    answer.tokens = tokens;
    answer.ended = loop.ends(tokens.back());
    return answer;
}

} // namespace ob
