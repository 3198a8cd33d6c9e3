#include "answers/text.h"

#include <cmath>

#include "base/text.h"

namespace ob {

TextAnswer read_line(const Row &probabilities, const std::vector<std::string> &labels, int64_t blank) {
    TextAnswer answer;
    answer.was_read = true;
    size_t classes = static_cast<size_t>(probabilities.shape[1]), last = classes;
    std::vector<double> scores;
    for (int64_t place = 0; place < probabilities.shape[0]; ++place) {
        const float *row = probabilities.floats() + static_cast<size_t>(place) * classes;
        size_t best = 0; // the first of equal ones; NaN is taken for the largest, as numpy does
        for (size_t i = 1; i < classes && !std::isnan(row[best]); ++i) {
            if (row[i] > row[best] || std::isnan(row[i])) best = i;
        }
        if (best != static_cast<size_t>(blank) && best != last) {
            answer.text += labels[best];
            scores.push_back(static_cast<double>(row[best]));
        }
        last = best;
    }
    if (!scores.empty()) {
        answer.confidence = pairwise_sum(scores.data(), scores.size()) / static_cast<double>(scores.size());
    }
    return answer;
}

Json json_of(const TextAnswer &answer) {
    JsonObject found;
    found.add("text", answer.text);
    if (answer.was_read) return found.add("confidence", answer.confidence).done();
    std::vector<Json> tokens;
    for (int64_t token : answer.tokens) tokens.push_back(json_of(token));
    return found.add("tokens", json_list(std::move(tokens))).add("finish", answer.ended ? "end" : "length").done();
}

std::string line_of(const TextAnswer &answer) {
    std::string shown = only_printable(answer.text);
    return answer.was_read ? str(shown, "  ", format("%.1f", 100 * answer.confidence), " %") : shown;
}

} // namespace ob
