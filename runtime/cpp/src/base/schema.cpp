#include "base/schema.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

const Json &null() {
    static const Json value;
    return value;
}

} // namespace

Value::Value(const Json &json, std::string_view file) : json_(&json), there_(true), name_(file) {}

Value::Value(const Json *json, const Value &outer, std::string_view name, long index)
    : json_(json ? json : &null()), there_(json), outer_(&outer), name_(name), index_(index) {}

Value Value::item(size_t index) const { return Value(&json_->items[index], *this, {}, static_cast<long>(index)); }

Value Value::entry(size_t index) const { return Value(&json_->items[index], *this, json_->names[index], ENTRY); }

Value Value::field(const char *name) const { return Value(json_->find(name), *this, name, FIELD); }

Value Value::given(const char *name) const { return Value(json_->given(name), *this, name, FIELD); }

std::string Value::where() const {
    if (!outer_) return std::string(name_);
    if (index_ == FIELD) return str(outer_->where(), ".", name_);
    if (index_ == ENTRY) return str(outer_->where(), "[", shown(name_), "]");
    return str(outer_->where(), "[", index_, "]");
}

void refuse_of(const Value &value, const std::string &expected) {
    invalid(value.where(), " is ", shown(*value), ", expected ", expected);
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

void check_fields(const Value &value, const char *fields) {
    std::string_view known = fields;
    if (value->kind != Json::Kind::Object) refuse(value, "an object");
    const std::string *unknown = nullptr;
    for (const std::string &name : value->names) {
        bool found = false;
        for (std::string_view rest = known; !found && !rest.empty();) found = next_field(rest).name == name;
        if (!found && (!unknown || name < *unknown)) unknown = &name;
    }
    if (unknown) invalid(value.where(), " has an unknown field ", shown(*unknown));
    while (!known.empty()) {
        Field field = next_field(known);
        if (field.required && !value->find(field.name)) {
            invalid(value.where(), " lacks the field '", field.name, "'");
        }
    }
}

namespace {

size_t checked_count(const Value &value, int64_t low, int64_t high) {
    int64_t found = static_cast<int64_t>(value->items.size());
    if (found < low || found > high) {
        invalid(value.where(), " has ", found, " items, expected ", low, " to ", high);
    }
    return value->items.size();
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

size_t check_list(const Value &value, int64_t low, int64_t high) {
    if (value->kind != Json::Kind::List) refuse(value, "a list");
    return checked_count(value, low, high);
}

size_t check_object(const Value &value, int64_t low, int64_t high, const TextKind *keys) {
    if (value->kind != Json::Kind::Object) refuse(value, "an object");
    size_t count = checked_count(value, low, high);
    if (keys) {
        for (const std::string &name : value->names) check_text(name, str("a name in ", value.where()), *keys);
    }
    return count;
}

void check_text(std::string_view value, const std::string &where, const TextKind &kind) {
    int64_t chars = static_cast<int64_t>(char_count(value));
    if (chars > kind.max_chars) invalid(where, " has ", chars, " characters, limit ", kind.max_chars);
    if (!kind.matches(value)) invalid(where, " is ", shown(value), ", expected text like ", kind.pattern);
}

namespace {

void check_finite_of(const Json &json, const Value &value) {
    for (const Json &item : json.items) check_finite_of(item, value);
    const char *expected = nullptr;
    if (json.kind == Json::Kind::Real && !std::isfinite(json.real)) expected = "a finite number";
    if (json.kind == Json::Kind::Integer && (json.huge || json.integer == INT64_MIN)) expected = "a number of 64 bits";
    if (expected) invalid(value.where(), " is ", shown(json), ", expected ", expected);
}

} // namespace

void check_finite(const Value &value) { check_finite_of(*value, value); }

int64_t read_whole(const Value &value, int64_t low, int64_t high) {
    if (value->kind != Json::Kind::Integer) refuse(value, "a whole number");
    if (value->huge || value->integer < low || value->integer > high) {
        refuse(value, format("%g", static_cast<double>(low)), " to ", format("%g", static_cast<double>(high)));
    }
    return value->integer;
}

double read_real(const Value &value, double low, double high) {
    if (!value->is_number()) refuse(value, "a number");
    check_finite(value);
    if (!(value->real >= low && value->real <= high)) {
        refuse(value, format("%g", low), " to ", format("%g", high));
    }
    return value->real;
}

std::string read_text(const Value &value, const TextKind &kind) {
    if (value->kind != Json::Kind::String) refuse(value, "a string");
    if (static_cast<int64_t>(value->text.size()) > kind.max_chars || !kind.matches(value->text)) {
        check_text(value->text, value.where(), kind);
    }
    return value->text;
}

std::vector<std::string> read_texts(const Value &value, int64_t least, int64_t most, const TextKind &kind) {
    auto read = [&](std::string &text, const Value &item) { text = read_text(item, kind); };
    return read_items<std::string>(value, least, most, read);
}

void Value::text(const char *name, std::string &into, const TextKind &kind) const {
    if (Value found = field(name)) into = read_text(found, kind);
}

void Value::whole(const char *name, int64_t &into, int64_t low, int64_t high) const {
    if (Value found = field(name)) into = read_whole(found, low, high);
}

void Value::real(const char *name, double &into, double low, double high) const {
    if (Value found = field(name)) into = read_real(found, low, high);
}

void Value::flag(const char *name, bool &into) const {
    Value found = field(name);
    if (!found) return;
    if (found->kind != Json::Kind::Bool) refuse(found, "true or false");
    into = found->truth;
}

void Value::wholes(const char *name, std::vector<int64_t> &into, int64_t low, int64_t high, int64_t least,
                   int64_t most) const {
    Value found = field(name);
    if (!found) return;
    into.resize(check_list(found, least, most));
    for (size_t i = 0; i < into.size(); ++i) into[i] = read_whole(found.item(i), low, high);
}

void Value::shape(const char *name, Shape &into, int64_t low, int64_t high, int64_t least, int64_t most) const {
    Value found = field(name);
    if (!found) return;
    size_t rank = check_list(found, least, most);
    into.clear();
    for (size_t d = 0; d < rank; ++d) into.push_back(read_whole(found.item(d), low, high));
}

size_t read_choice(const Value &value, const char *options) {
    size_t place = 0;
    for (std::string_view rest = options; value->kind == Json::Kind::String && !rest.empty(); ++place) {
        if (next_field(rest).name == value->text) return place;
    }
    refuse(value, "one of ", join(split(options, " ")));
}

} // namespace ob
