#include "base/schema.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

std::string Where::text() const {
    if (!outer_) return std::string(name_);
    if (index_ >= 0) return str(outer_->text(), "[", index_, "]");
    if (quoted_) return str(outer_->text(), "[", shown(name_), "]");
    return str(outer_->text(), ".", name_);
}

void refuse_of(const Where &where, const Json &value, const char *letters, const PartWord *words) {
    invalid(where.text(), " is ", shown(value), ", expected ", str_of(letters, words));
}

namespace {

struct Field {
    std::string_view name;
    bool required;
};

// Takes the first of several fields away.
Field next_field(std::string_view &fields) {
    size_t end = std::min(fields.find(' '), fields.size());
    std::string_view name = fields.substr(0, end);
    fields.remove_prefix(std::min(end + 1, fields.size()));
    bool required = name.back() != '?';
    return {name.substr(0, name.size() - !required), required};
}

} // namespace

void check_fields(const Json &value, const Where &where, std::string_view known) {
    if (value.kind != Json::Kind::Object) refuse(where, value, "an object");
    const std::string *unknown = nullptr;
    for (const std::string &name : value.names) {
        bool found = false;
        for (std::string_view rest = known; !found && !rest.empty();) found = next_field(rest).name == name;
        if (!found && (!unknown || name < *unknown)) unknown = &name;
    }
    if (unknown) invalid(where.text(), " has an unknown field ", shown(*unknown));
    while (!known.empty()) {
        Field field = next_field(known);
        if (field.required && !value.find(field.name)) {
            invalid(where.text(), " lacks the field '", field.name, "'");
        }
    }
}

namespace {

void check_count(size_t count, const Where &where, int64_t low, int64_t high) {
    int64_t found = static_cast<int64_t>(count);
    if (found < low || found > high) {
        invalid(where.text(), " has ", found, " items, expected ", low, " to ", high);
    }
}

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_alpha(c) || is_digit(c) || c == '_'; }

// A first character that is one of a word, and others of a word or of `more`.
bool named(std::string_view text, std::string_view more) {
    if (text.empty() || !is_word(text[0])) return false;
    return std::all_of(text.begin(), text.end(), [&](char c) { return is_word(c) || more.find(c) != more.npos; });
}

bool is_function(std::string_view text) { return named(text, "") && !is_digit(text[0]); }

bool is_path(std::string_view text) {
    int parts = 0;
    while (true) {
        size_t end = text.find('/');
        if (++parts > 5 || !named(text.substr(0, end), ".-")) return false;
        if (end == text.npos) return true;
        text.remove_prefix(end + 1);
    }
}

bool is_hexadecimal(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

// Digits, then once or more a dot and digits.
bool is_version(std::string_view text) {
    size_t dots = 0, digits = 0;
    for (char c : text) {
        if (is_digit(c)) {
            ++digits;
        } else if (c == '.' && digits) {
            ++dots;
            digits = 0;
        } else {
            return false;
        }
    }
    return dots > 0 && digits > 0;
}

bool is_driver(std::string_view text) {
    size_t dot = text.find('.');
    if (text.empty()) return true;
    return is_version(text) && dot <= 3 && text.size() - dot - 1 <= 3 && text.find('.', dot + 1) == text.npos;
}

bool is_feature(std::string_view text, std::string_view more) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || more.find(c) != more.npos;
    });
}

} // namespace

const TextKind NAME{"[A-Za-z0-9_][A-Za-z0-9_.:/\\-]*", MAX_NAME_CHARS,
                    [](std::string_view text) { return named(text, ".:/-"); }};
const TextKind FOLDER{"[A-Za-z0-9_][A-Za-z0-9_.\\-]*", MAX_NAME_CHARS,
                      [](std::string_view text) { return named(text, ".-"); }};
const TextKind PATH{"([A-Za-z0-9_][A-Za-z0-9_.\\-]*/){0,4}[A-Za-z0-9_][A-Za-z0-9_.\\-]*", MAX_PATH_CHARS, is_path};
const TextKind SHA256{"[0-9a-f]{64}", 64,
                      [](std::string_view text) { return text.size() == 64 && is_hexadecimal(text); }};
const TextKind PROGRAM{"[A-Za-z_][A-Za-z0-9_]*", MAX_NAME_CHARS, is_function};
const TextKind VERSION{"[0-9]+(\\.[0-9]+)+", 32, is_version};
const TextKind FREE{".*", MAX_TEXT_CHARS, [](std::string_view) { return true; }};
const TextKind LAYOUT{"[A-Za-z]*", MAX_RANK,
                      [](std::string_view text) { return std::all_of(text.begin(), text.end(), is_alpha); }};
const TextKind CPU_FEATURE{"[a-z0-9_.\\-]+", 64, [](std::string_view text) { return is_feature(text, "_.-"); }};
const TextKind FUNCTION{"[A-Za-z_][A-Za-z0-9_]*", MAX_NAME_CHARS, is_function};
const TextKind KERNEL{"[A-Za-z_][A-Za-z0-9_]*", MAX_KERNEL_CHARS, is_function};
const TextKind FUNCTION_OR_NONE{"([A-Za-z_][A-Za-z0-9_]*)?", MAX_NAME_CHARS,
                                [](std::string_view text) { return text.empty() || is_function(text); }};
const TextKind COMPUTE{"[a-z][0-9a-z_.\\-]*", 16, [](std::string_view text) {
                           return is_feature(text, "_.-") && text[0] >= 'a' && text[0] <= 'z';
                       }};
const TextKind DRIVER{"([0-9]{1,3}\\.[0-9]{1,3})?", 8, is_driver};
const TextKind HEXADECIMAL{"([0-9a-f]{2})+", 2 * MAX_CONSTANT_BYTES, [](std::string_view text) {
                               return !text.empty() && text.size() % 2 == 0 && is_hexadecimal(text);
                           }};

const Json &check_list(const Json &value, const Where &where, int64_t low, int64_t high) {
    if (value.kind != Json::Kind::List) refuse(where, value, "a list");
    check_count(value.items.size(), where, low, high);
    return value;
}

const Json &check_object(const Json &value, const Where &where, int64_t low, int64_t high, const TextKind *keys) {
    if (value.kind != Json::Kind::Object) refuse(where, value, "an object");
    check_count(value.items.size(), where, low, high);
    if (keys) {
        for (const std::string &name : value.names) check_text(name, str("a name in ", where.text()), *keys);
    }
    return value;
}

void check_text(std::string_view value, const std::string &where, const TextKind &kind) {
    int64_t chars = static_cast<int64_t>(char_count(value));
    if (chars > kind.max_chars) invalid(where, " has ", chars, " characters, limit ", kind.max_chars);
    if (!kind.matches(value)) invalid(where, " is ", shown(value), ", expected text like ", kind.pattern);
}

void check_finite(const Json &value, const Where &where) {
    for (const Json &item : value.items) check_finite(item, where);
    if (value.kind == Json::Kind::Real && !std::isfinite(value.real)) refuse(where, value, "a finite number");
    if (value.kind == Json::Kind::Integer && (value.huge || value.integer == INT64_MIN)) {
        refuse(where, value, "a number of 64 bits");
    }
}

int64_t read_whole(const Json &value, const Where &where, int64_t low, int64_t high) {
    if (value.kind != Json::Kind::Integer) refuse(where, value, "a whole number");
    if (value.huge || value.integer < low || value.integer > high) {
        refuse(where, value, format("%g", static_cast<double>(low)), " to ", format("%g", static_cast<double>(high)));
    }
    return value.integer;
}

double read_real(const Json &value, const Where &where, double low, double high) {
    if (!value.is_number()) refuse(where, value, "a number");
    check_finite(value, where);
    if (!(value.real >= low && value.real <= high)) {
        refuse(where, value, format("%g", low), " to ", format("%g", high));
    }
    return value.real;
}

bool read_flag(const Json &value, const Where &where) {
    if (value.kind != Json::Kind::Bool) refuse(where, value, "true or false");
    return value.truth;
}

std::string read_text(const Json &value, const Where &where, const TextKind &kind) {
    if (value.kind != Json::Kind::String) refuse(where, value, "a string");
    if (static_cast<int64_t>(value.text.size()) > kind.max_chars || !kind.matches(value.text)) {
        check_text(value.text, where.text(), kind);
    }
    return value.text;
}

std::vector<int64_t> read_wholes(const Json &value, const Where &where, int64_t low, int64_t high, int64_t least,
                                 int64_t most) {
    check_list(value, where, least, most);
    std::vector<int64_t> found;
    found.reserve(value.items.size());
    for (size_t i = 0; i < value.items.size(); ++i) {
        found.push_back(read_whole(value.items[i], where.item(i), low, high));
    }
    return found;
}

std::vector<std::string> read_texts(const Json &value, const Where &where, int64_t least, int64_t most,
                                    const TextKind &kind) {
    auto read = [&](std::string &text, const Json &item, const Where &here) { text = read_text(item, here, kind); };
    return read_items<std::string>(value, where, least, most, read);
}

int64_t whole_field(const Json &object, const Where &where, const char *name, int64_t low, int64_t high) {
    return read_whole(*object.find(name), where.field(name), low, high);
}

std::string text_field(const Json &object, const Where &where, const char *name, const TextKind &kind) {
    return read_text(*object.find(name), where.field(name), kind);
}

std::vector<int64_t> wholes_field(const Json &object, const Where &where, const char *name, int64_t low, int64_t high,
                                  int64_t least, int64_t most) {
    return read_wholes(*object.find(name), where.field(name), low, high, least, most);
}

size_t read_choice(const Json &value, const Where &where, std::initializer_list<const char *> options) {
    size_t place = 0;
    for (const char *option : options) {
        if (value.kind == Json::Kind::String && value.text == option) return place;
        ++place;
    }
    refuse(where, value, "one of ", join(std::vector<std::string>(options.begin(), options.end())));
}

const Json *given(const Json &object, std::string_view name) {
    const Json *found = object.find(name);
    return found && found->kind != Json::Kind::Null ? found : nullptr;
}

} // namespace ob
