#include "generation/wordpiece.h"

#include <algorithm>

#include "base/sort.h"
#include "base/text.h"
#include "generation/unicode.h"

namespace ob {

namespace {

constexpr const char *UNKNOWN = "[UNK]";
constexpr int32_t SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2; // whose lower case depends on its place (Unicode 3.13)
constexpr size_t LONGEST_WORD = 100; // characters beyond which a word is unknown

// What transformers' `clean_up_tokenization` replaces, in its order.
constexpr std::string_view CLEANED[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},   {" ,", ","},
                                           {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"},
                                           {" 've", "'ve"}, {" 're", "'re"}};

void replace_all(std::string &text, std::string_view old, std::string_view with) {
    for (size_t at = 0; (at = text.find(old, at)) != text.npos; at += with.size()) text.replace(at, old.size(), with);
}

// Appends characters, what is punctuation as a word of its own.
void append_parted(std::string &out, std::string_view text) {
    for (size_t place = 0; place < text.size();) {
        CodePoint next = code_point(text, place);
        bool apart = kind_of(next.value) == CharKind::Punctuation;
        out += str(apart ? " " : "", text.substr(place, next.bytes), apart ? " " : "");
        place += next.bytes;
    }
}

// Whether no more of a word comes: what is left out does not count.
bool ends_word(std::string_view text, size_t place) {
    while (place < text.size()) {
        CodePoint next = code_point(text, place);
        CharKind kind = next.value < 0 ? CharKind::Dropped : kind_of(next.value);
        if (kind != CharKind::Dropped) return kind != CharKind::Other;
        place += next.bytes;
    }
    return true;
}

// Splits at spaces, punctuation and ideographs; control characters are left out.
std::vector<std::string> words_of(std::string_view text, bool lower_case) {
    std::string parted;
    for (size_t place = 0; place < text.size();) {
        CodePoint next = code_point(text, place);
        CharKind kind = next.value < 0 ? CharKind::Dropped : kind_of(next.value);
        if (kind == CharKind::Space || kind == CharKind::Ideograph) parted += ' ';
        if (next.value == SIGMA && lower_case && !parted.empty() && parted.back() != ' ' &&
            ends_word(text, place + next.bytes)) {
            append_utf8(parted, FINAL_SIGMA);
        } else if (kind != CharKind::Space && kind != CharKind::Dropped) {
            append_parted(parted, lower_case ? plain_of(next.value) : std::string(text.substr(place, next.bytes)));
        }
        if (kind == CharKind::Ideograph) parted += ' ';
        place += next.bytes;
    }
    return split(parted, " ");
}

} // namespace

WordPieces::WordPieces(std::vector<std::string> pieces, std::vector<int64_t> hidden, bool lower_case)
    : pieces_(std::move(pieces)), hidden_(std::move(hidden)), lower_case_(lower_case) {
    sort(hidden_);
    for (uint32_t i = 0; i < pieces_.size(); ++i) sorted_.push_back(i);
    sort(sorted_, [&](uint32_t one, uint32_t two) {
        int order = pieces_[one].compare(pieces_[two]);
        return order != 0 ? order < 0 : one > two; // of equal ones the last comes first, and is found
    });
}

int64_t WordPieces::find(std::string_view piece) const {
    auto found = std::lower_bound(sorted_.begin(), sorted_.end(), piece,
                                  [&](uint32_t place, std::string_view wanted) { return pieces_[place] < wanted; });
    return found != sorted_.end() && pieces_[*found] == piece ? static_cast<int64_t>(*found) : -1;
}

std::string WordPieces::text(const std::vector<int64_t> &tokens) const {
    std::string text;
    bool first = true;
    for (int64_t token : tokens) {
        if (std::binary_search(hidden_.begin(), hidden_.end(), token)) continue;
        bool known = token >= 0 && token < static_cast<int64_t>(pieces_.size());
        text += str(first ? "" : " ", known ? pieces_[static_cast<size_t>(token)] : UNKNOWN);
        first = false;
    }
    replace_all(text, " ##", "");
    text = stripped(text);
    for (const auto &[old, with] : CLEANED) replace_all(text, old, with);
    return text;
}

std::vector<int64_t> WordPieces::tokens(std::string_view text) const {
    std::vector<int64_t> found;
    for (const std::string &word : words_of(text, lower_case_)) split(word, found);
    return found;
}

// The longest pieces that make the word, from its begin; the unknown token where none do.
void WordPieces::split(std::string_view word, std::vector<int64_t> &found) const {
    size_t before = found.size();
    bool fits = char_count(word) <= LONGEST_WORD;
    for (size_t start = 0; fits && start < word.size();) {
        size_t stop = word.size();
        int64_t number = -1;
        for (; stop > start; --stop) {
            if (stop < word.size() && (static_cast<unsigned char>(word[stop]) & 0xc0) == 0x80) continue; // within one
            number = find(start ? str("##", word.substr(start, stop - start)) : std::string(word.substr(0, stop)));
            if (number >= 0) break;
        }
        fits = number >= 0;
        found.push_back(number);
        start = stop;
    }
    if (fits) return;
    found.resize(before);
    int64_t unknown = find(UNKNOWN);
    if (unknown >= 0) found.push_back(unknown);
}

} // namespace ob
