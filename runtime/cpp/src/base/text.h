// Text of messages: values put together, and a stranger's text made safe to print.
//
//     str("batch ", 8, " of ", name)
//     shown("a\nb")            // 'a\nb', as Python quotes it, cut to 80 characters
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace ob {

// A part of a message: text, a character, or a whole number. Its text must outlive the call.
class Part {
  public:
    Part(std::string_view text) : data_(text.data()), size_(text.size()) {}
    Part(const std::string &text) : data_(text.data()), size_(text.size()) {}
    Part(const char *text) : Part(std::string_view(text)) {}
    Part(char one) : bits_(static_cast<unsigned char>(one)), kind_(Kind::Character) {}
    Part(int number) : Part(static_cast<long long>(number)) {}
    Part(long number) : Part(static_cast<long long>(number)) {}
    Part(long long number) : bits_(static_cast<uint64_t>(number)), kind_(Kind::Signed) {}
    Part(unsigned number) : Part(static_cast<unsigned long long>(number)) {}
    Part(unsigned long number) : Part(static_cast<unsigned long long>(number)) {}
    Part(unsigned long long number) : bits_(number), kind_(Kind::Unsigned) {}

    void append_to(std::string &out) const;

  private:
    enum class Kind : uint8_t { Text, Character, Signed, Unsigned };

    union {
        const char *data_;
        uint64_t bits_;
    };
    size_t size_ = 0;
    Kind kind_ = Kind::Text;
};

// The parts, one after the other: one function for all, since there are hundreds of messages.
std::string str_of(std::initializer_list<Part> parts);
template <typename... Parts> std::string str(const Parts &...parts) { return str_of({Part(parts)...}); }

// A number as printf writes it.
std::string format(const char *how, double number);

// A number as Python's repr() writes it: the shortest text that reads back the same.
std::string repr(double number);

// Texts with ", " or another separator between them.
std::string join(const std::vector<std::string> &parts, const char *separator = ", ");

// The pieces between any of the separators, none of them empty.
std::vector<std::string> split(std::string_view text, std::string_view separators);

// Lines, the last of which need not end in a line's end; one at least.
std::vector<std::string> lines_of(std::string_view text);

// Control characters escaped, and cut to MAX_MESSAGE_CHARS, so that a hostile file cannot drive a terminal.
std::string one_line(std::string_view text);

// What cannot be printed replaced by U+FFFD.
std::string only_printable(std::string_view text);

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
