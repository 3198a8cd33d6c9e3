#include "base/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/decimal.h"
#include "base/limits.h"

namespace ob {

std::string str_of_list(const char *letters, va_list words) {
    std::string out;
    for (; *letters; ++letters) {
        PartWord word = va_arg(words, PartWord);
        const void *place = reinterpret_cast<const void *>(word);
        switch (*letters) {
        case 's': out += *static_cast<const std::string *>(place); break;
        case 'v': out += *static_cast<const std::string_view *>(place); break;
        case 'q': out += std::string(*static_cast<const Quoted *>(place)); break;
        case 't': out += static_cast<const char *>(place); break;
        case 'c': out.push_back(static_cast<char>(word)); break;
        case 'i': out += std::to_string(static_cast<long long>(word)); break;
        default: out += std::to_string(word); break;
        }
    }
    return out;
}

std::string str_of(const char *letters, ...) {
    va_list words;
    va_start(words, letters);
    std::string out = str_of_list(letters, words);
    va_end(words);
    return out;
}

std::string format(const char *how, double number) {
    char text[400];
    int length = std::snprintf(text, sizeof text, how, number);
    return std::string(text, static_cast<size_t>(length < 0 ? 0 : length));
}

std::string repr(double number) {
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
    if (number == 0) return std::signbit(number) ? "-0.0" : "0.0";
    // Python: the shortest digits, plain where the exponent is -4 to 15.
    Decimal found = shortest(std::fabs(number));
    std::string out = std::to_string(found.digits);
    int count = static_cast<int>(out.size()), point = count + found.exponent; // digits before the point
    if (point < -3 || point > 16) {
        int power = point - 1;
        if (count > 1) out.insert(1, 1, '.');
        out += power < 0 ? "e-" : "e+";
        if (std::abs(power) < 10) out += '0';
        out += std::to_string(std::abs(power));
    } else if (point <= 0) {
        out.insert(0, "0." + std::string(static_cast<size_t>(-point), '0'));
    } else if (point < count) {
        out.insert(static_cast<size_t>(point), 1, '.');
    } else {
        out += std::string(static_cast<size_t>(point - count), '0') + ".0";
    }
    return number < 0 ? "-" + out : out;
}

std::string join(const std::vector<std::string> &parts, const char *separator) {
    std::string out;
    for (size_t i = 0; i < parts.size(); ++i) {
        if (i) out += separator;
        out += parts[i];
    }
    return out;
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
    std::vector<std::string> found;
    for (size_t start = 0; (start = text.find_first_not_of(separators, start)) != text.npos;) {
        size_t end = std::min(text.find_first_of(separators, start), text.size());
        found.emplace_back(text.substr(start, end - start));
        start = end;
    }
    return found;
}

std::vector<std::string> lines_of(std::string_view text) {
    if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    std::vector<std::string> lines;
    for (size_t start = 0; start <= text.size();) {
        size_t end = std::min(text.find('\n', start), text.size());
        lines.emplace_back(text.substr(start, end - start));
        start = end + 1;
    }
    return lines;
}

CodePoint code_point(std::string_view text, size_t place) {
    auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
    unsigned first = byte(place);
    if (first < 0x80) return {static_cast<int32_t>(first), 1};
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || place + length > text.size()) return {-1, 1};
    int32_t value = static_cast<int32_t>(first & (0x7fu >> length));
    for (size_t i = 1; i < length; ++i) {
        if ((byte(place + i) & 0xc0) != 0x80) return {-1, 1};
        value = value << 6 | static_cast<int32_t>(byte(place + i) & 0x3f);
    }
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {-1, 1};
    return {value, length};
}

bool is_utf8(std::string_view text) {
    for (size_t place = 0; place < text.size();) {
        CodePoint next = code_point(text, place);
        if (next.value < 0) return false;
        place += next.bytes;
    }
    return true;
}

void append_utf8(std::string &out, uint32_t value) {
    auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (value < 0x80) return put(value);
    if (value < 0x800) {
        put(0xc0 | value >> 6);
    } else {
        if (value < 0x10000) {
            put(0xe0 | value >> 12);
        } else {
            put(0xf0 | value >> 18);
            put(0x80 | (value >> 12 & 0x3f));
        }
        put(0x80 | (value >> 6 & 0x3f));
    }
    put(0x80 | (value & 0x3f));
}

size_t char_count(std::string_view text) {
    size_t count = 0;
    for (char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    return count;
}

namespace {

// Control characters, separators other than the space, marks that turn the direction of text, private use.
bool printable(int32_t c) {
    if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad) return false;
    if (c < 0x600) return c != 0x378 && c != 0x379;
    return !((c >= 0x600 && c <= 0x605) || c == 0x61c || c == 0x6dd || c == 0x70f || c == 0x1680 || c == 0x180e ||
             (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f) ||
             c == 0x3000 || (c >= 0xd800 && c <= 0xf8ff) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
             (c & 0xfffe) == 0xfffe || c >= 0xe0000);
}

void append_escaped(std::string &out, int32_t c) {
    char text[16];
    if (c == '\n' || c == '\r' || c == '\t') {
        out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
        return;
    }
    std::snprintf(text, sizeof text,
                  c < 0x100     ? "\\x%02x"
                  : c < 0x10000 ? "\\u%04x"
                                : "\\U%08x",
                  static_cast<unsigned>(c));
    out += text;
}

// The first `count` characters.
std::string first_chars(std::string_view text, size_t count) {
    size_t place = 0;
    while (place < text.size() && count) {
        place += code_point(text, place).bytes;
        --count;
    }
    return std::string(text.substr(0, place));
}

std::string limited(const std::string &text, size_t limit) {
    return char_count(text) <= limit ? text : first_chars(text, limit - 1) + "\xe2\x80\xa6";
}

} // namespace

std::string one_line(std::string_view text) {
    std::string out;
    for (size_t place = 0; place < text.size();) {
        CodePoint next = code_point(text, place);
        int32_t value = next.value < 0 ? static_cast<unsigned char>(text[place]) : next.value;
        if (next.value >= 0 && printable(value)) {
            out.append(text.substr(place, next.bytes));
        } else {
            append_escaped(out, value);
        }
        place += next.bytes;
    }
    return limited(out, MAX_MESSAGE_CHARS);
}

std::string only_printable(std::string_view text) {
    std::string out;
    for (size_t place = 0; place < text.size();) {
        CodePoint next = code_point(text, place);
        out += next.value >= 0 && printable(next.value) ? text.substr(place, next.bytes) : "\xef\xbf\xbd";
        place += next.bytes;
    }
    return out;
}

namespace {

std::string in_quotes(std::string_view text) {
    bool single = text.find('\'') == text.npos || text.find('"') != text.npos;
    char mark = single ? '\'' : '"';
    std::string out(1, mark);
    for (size_t place = 0; place < text.size();) {
        CodePoint next = code_point(text, place);
        int32_t value = next.value < 0 ? static_cast<unsigned char>(text[place]) : next.value;
        if (value == mark || value == '\\') {
            out += {'\\', static_cast<char>(value)};
        } else if (next.value >= 0 && printable(value)) {
            out.append(text.substr(place, next.bytes));
        } else {
            append_escaped(out, value);
        }
        place += next.bytes;
    }
    return out + mark;
}

} // namespace

std::string cut(const std::string &text) { return one_line(limited(text, 80)); }

Quoted::operator std::string() const { return brief ? cut(in_quotes(first_chars(text, 81))) : in_quotes(text); }

} // namespace ob
