// Text of messages: values put together, and a stranger's text made safe to print.
//
//     str("batch ", 8, " of ", name)
//     shown("a\nb")            // 'a\nb', as Python quotes it, cut to 80 characters
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ob {

inline void append(std::string &out, std::string_view text) { out.append(text); }
inline void append(std::string &out, const char *text) { out.append(text); }
inline void append(std::string &out, char one) { out.push_back(one); }
inline void append(std::string &out, int number) { out += std::to_string(number); }
inline void append(std::string &out, long number) { out += std::to_string(number); }
inline void append(std::string &out, long long number) { out += std::to_string(number); }
inline void append(std::string &out, unsigned number) { out += std::to_string(number); }
inline void append(std::string &out, unsigned long number) { out += std::to_string(number); }
inline void append(std::string &out, unsigned long long number) { out += std::to_string(number); }

// The parts, one after the other.
template <typename... Parts> std::string str(const Parts &...parts) {
    std::string out;
    (append(out, parts), ...);
    return out;
}

// A number as printf writes it.
std::string format(const char *how, double number);

// A number as Python's repr() writes it: the shortest text that reads back the same.
std::string repr(double number);

// Texts with ", " or another separator between them.
std::string join(const std::vector<std::string> &parts, const char *separator = ", ");

// The pieces between any of the separators, none of them empty.
std::vector<std::string> split(std::string_view text, std::string_view separators);

// Control characters escaped, and cut to MAX_MESSAGE_CHARS, so that a hostile file cannot drive a terminal.
std::string one_line(std::string_view text);

// Text quoted as Python's repr() quotes it.
std::string quoted(std::string_view text);

// Any text cut to 80 characters, one line; `shown` quotes first.
std::string cut(const std::string &text);
std::string shown(std::string_view text);

// The next code point of valid UTF-8, and its bytes; of bytes that are not, -1 and one byte.
struct CodePoint {
    int32_t value;
    size_t bytes;
};
CodePoint code_point(std::string_view text, size_t place);
bool is_utf8(std::string_view text);
void append_utf8(std::string &out, uint32_t value);

// How many characters valid UTF-8 has.
size_t char_count(std::string_view text);

} // namespace ob
