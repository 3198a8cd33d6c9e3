// Text of messages: values put together, and a stranger's text made safe to print.
//
//     str("batch ", 8, " of ", name)
//     shown("a\nb")            // 'a\nb', as Python quotes it, cut to 80 characters
#pragma once

#include <cstdarg>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ob {

// A stranger's text as Python's repr() quotes it, made where it is read: a message is put together in one place.
// `brief` is for messages: 80 characters at most, one line. The text must outlive it.
struct Quoted {
    std::string_view text;
    bool brief;
    operator std::string() const;
};

// Parts of a message: texts, characters, whole numbers. Each is one word, and a letter that says how to read it: there
// are hundreds of messages, and what hands over their parts was a twentieth of the library.
using PartWord = uint64_t;
template <typename Type>
constexpr char PART_LETTER = std::is_same_v<Type, std::string>                  ? 's'
                             : std::is_same_v<Type, std::string_view>           ? 'v'
                             : std::is_same_v<Type, Quoted>                     ? 'q'
                             : std::is_same_v<std::decay_t<Type>, const char *> ? 't'
                             : std::is_same_v<Type, char>                       ? 'c'
                             : std::is_signed_v<Type>                           ? 'i'
                                                                                : 'u';
template <char... Letters> struct PartLetters { static constexpr char text[] = {Letters..., 0}; };
template <typename... Types> constexpr const char *part_letters() {
    return PartLetters<PART_LETTER<std::conditional_t<std::is_array_v<Types>, const char *, Types>>...>::text;
}

template <typename Type> PartWord part_word(const Type &part) {
    if constexpr (std::is_integral_v<Type>) {
        return static_cast<PartWord>(part);
    } else if constexpr (std::is_array_v<Type>) {
        return reinterpret_cast<PartWord>(&part[0]);
    } else if constexpr (std::is_pointer_v<Type>) {
        return reinterpret_cast<PartWord>(part);
    } else {
        return reinterpret_cast<PartWord>(&part);
    }
}

// The parts, one after the other.
std::string str_of(const char *letters, ...);
std::string str_of_list(const char *letters, va_list words);
template <typename... Parts> std::string str(const Parts &...parts) {
    return str_of(part_letters<Parts...>(), part_word(parts)...);
}

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
inline Quoted quoted(std::string_view text) { return {text, false}; }

// Any text cut to 80 characters, one line; `shown` quotes first.
std::string cut(const std::string &text);
inline Quoted shown(std::string_view text) { return {text, true}; }

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
