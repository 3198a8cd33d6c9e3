#include "generation/unicode.h"

#include "base/text.h"

namespace ob {

namespace {

#include "generation/unicode_data.inc"

// Reads the tables: whole numbers of seven bits a byte, the lowest first.
class Reader {
  public:
    template <size_t N> explicit Reader(const unsigned char (&data)[N]) : at_(data), end_(data + N) {}
    bool more() const { return at_ != end_; }
    int32_t number() {
        int32_t value = 0;
        for (int shift = 0;; shift += 7) {
            value |= (*at_ & 0x7f) << shift;
            if (!(*at_++ & 0x80)) return value;
        }
    }
    int32_t signed_number() {
        int32_t value = number();
        return value & 1 ? -(value + 1) / 2 : value / 2;
    }

  private:
    const unsigned char *at_, *end_;
};

constexpr int32_t HANGUL = 0xac00, SYLLABLES = 11172, LEADS = 0x1100, VOWELS = 0x1161, TRAILS = 0x11a7;

void append(std::string &out, int32_t character) { append_utf8(out, static_cast<uint32_t>(character)); }

// The characters that a syllable is made of (Unicode 3.12).
std::string syllable(int32_t place) {
    std::string found;
    append(found, LEADS + place / 588);
    append(found, VOWELS + place % 588 / 28);
    if (place % 28) append(found, TRAILS + place % 28);
    return found;
}

bool is_space(std::string_view text, size_t place) {
    int32_t value = code_point(text, place).value;
    return (value >= 0x1c && value <= 0x1f) || value == 0x0b || value == 0x0c || value == 0x85 ||
           (value >= 0 && kind_of(value) == CharKind::Space);
}

} // namespace

CharKind kind_of(int32_t character) {
    static constexpr CharKind kinds[] = {CharKind::Space, CharKind::Dropped, CharKind::Punctuation,
                                         CharKind::Ideograph};
    int32_t start = 0;
    for (Reader reader(KINDS); reader.more();) {
        int32_t head = reader.number(), length = reader.number();
        start += head / 4;
        if (character < start) break;
        if (character < start + length) return kinds[head % 4];
        start += length;
    }
    return CharKind::Other;
}

std::string plain_of(int32_t character) {
    std::string found;
    if (character >= HANGUL && character < HANGUL + SYLLABLES) return syllable(character - HANGUL);
    int32_t start = 0;
    for (Reader reader(PLAIN); reader.more();) {
        start += reader.number();
        if (character < start) break;
        int32_t count = reader.number(), steps = reader.number();
        int32_t source = 1 + steps % 2, target = steps / 2 % 4, place = (character - start) / source;
        bool inside = place < count && (character - start) % source == 0;
        for (int32_t i = 0; i < steps / 8; ++i) {
            int32_t first = start + reader.signed_number();
            if (inside) append(found, first + place * target);
        }
        if (inside) return found;
        start += (count - 1) * source + 1;
    }
    append(found, character);
    return found;
}

std::string stripped(std::string_view text) {
    size_t start = 0, end = text.size();
    while (start < end && is_space(text, start)) start += code_point(text, start).bytes;
    while (start < end) {
        size_t last = end - 1;
        while (last > start && (static_cast<unsigned char>(text[last]) & 0xc0) == 0x80) --last;
        if (!is_space(text, last)) break;
        end = last;
    }
    return std::string(text.substr(start, end - start));
}

} // namespace ob
