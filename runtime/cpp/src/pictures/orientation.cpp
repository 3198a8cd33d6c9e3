#include "pictures/orientation.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/limits.h"

namespace ob {

namespace {

constexpr uint64_t ORIENTATION_TAG = 0x0112, ENTRY_BYTES = 12;

// A number of a TIFF structure; bytes behind the end are not there.
class Tiff {
  public:
    Tiff(std::string_view block, bool little) : block_(block), little_(little) {}

    uint64_t number(uint64_t place, uint64_t width) const {
        uint64_t end = std::min<uint64_t>(place + width, block_.size()), value = 0;
        for (uint64_t i = place; i < end; ++i) {
            uint64_t byte = static_cast<unsigned char>(block_[i]);
            value = little_ ? value | byte << 8 * (i - place) : value << 8 | byte;
        }
        return value;
    }

  private:
    std::string_view block_;
    bool little_;
};

// Looks through the first directory (TIFF 6.0, section 2).
std::optional<uint64_t> in_exif(std::string_view block) {
    constexpr std::string_view head("Exif\0\0", 6), little("II*\0", 4), big("MM\0*", 4);
    if (block.substr(0, head.size()) == head) block.remove_prefix(head.size());
    std::string_view order = block.substr(0, 4);
    if (order != little && order != big) return std::nullopt;
    Tiff tiff(block, order == little);
    uint64_t start = tiff.number(4, 4), count = tiff.number(start, 2), first = start + 2;
    uint64_t last = block.size() < ENTRY_BYTES ? 0 : block.size() - ENTRY_BYTES + 1;
    for (uint64_t entry = first; entry < std::min(first + count * ENTRY_BYTES, last); entry += ENTRY_BYTES) {
        if (tiff.number(entry, 2) != ORIENTATION_TAG) continue;
        uint64_t kind = tiff.number(entry + 2, 2); // BYTE, SHORT, LONG
        uint64_t width = kind == 1 ? 1 : kind == 3 ? 2 : kind == 4 ? 4 : 0;
        if (width) return tiff.number(entry + 8, width);
    }
    return std::nullopt;
}

// tiff:Orientation="6" or tiff:Orientation>6
std::optional<uint64_t> in_xmp(std::string_view xmp) {
    constexpr std::string_view name = "tiff:Orientation";
    for (size_t place = 0; (place = xmp.find(name, place)) != xmp.npos; ++place) {
        std::string_view rest = xmp.substr(place + name.size());
        size_t mark = rest.substr(0, 2) == "=\"" ? 2 : rest.substr(0, 1) == ">" ? 1 : 0;
        if (mark && rest.size() > mark && rest[mark] >= '0' && rest[mark] <= '9') {
            return static_cast<uint64_t>(rest[mark] - '0');
        }
    }
    return std::nullopt;
}

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    char small = static_cast<char>(c | 32);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

} // namespace

int orientation_in(std::string_view exif, std::string_view xmp) {
    std::optional<uint64_t> value = in_exif(exif);
    if (!value) value = in_xmp(xmp);
    return value && *value >= 2 && *value <= 8 ? static_cast<int>(*value) : 1;
}

std::string exif_of_text(std::string_view text) {
    if (text.size() > static_cast<size_t>(MAX_EXIF_TEXT_CHARS)) return "";
    for (int line = 0; line < 3; ++line) {
        size_t end = text.find('\n');
        if (end == text.npos) return "";
        text.remove_prefix(end + 1);
    }
    std::string found;
    int high = -1;
    for (char c : text) {
        bool space = c == ' ' || (c >= '\t' && c <= '\r');
        if (space && (c == '\n' || high < 0)) continue;
        int value = digit(c);
        if (value < 0) return "";
        if (high >= 0) found.push_back(static_cast<char>(high << 4 | value));
        high = high >= 0 ? -1 : value;
    }
    return high < 0 ? found : "";
}

} // namespace ob
