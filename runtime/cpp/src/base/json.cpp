#include "base/json.h"

#include <algorithm>
#include <cstdlib>

#include "base/errors.h"
#include "base/limits.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr size_t MAX_DIGITS = 4300; // Python's limit for an integer

class Parser {
  public:
    Parser(std::string_view data, const std::string &where) : data_(data), where_(where) {}

    Json whole() {
        if (!is_utf8(data_)) refuse("it is not UTF-8");
        Json value = parse_value(0);
        skip_space();
        if (place_ != data_.size()) refuse("there is more behind it");
        return value;
    }

  private:
    template <typename... Parts> [[noreturn]] void refuse(const Parts &...why) const {
        fail(OVENBIRD_MANIFEST_INVALID, where_, ": not JSON that can be read: ", why..., " (byte ", place_, ")");
    }

    char peek() const { return place_ < data_.size() ? data_[place_] : '\0'; }

    void skip_space() {
        while (place_ < data_.size() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) ++place_;
    }

    bool take(char expected) {
        skip_space();
        if (place_ >= data_.size() || data_[place_] != expected) return false;
        ++place_;
        return true;
    }

    bool take_word(std::string_view word) {
        if (data_.substr(place_, word.size()) != word) return false;
        place_ += word.size();
        return true;
    }

    Json parse_value(int64_t depth) {
        if (depth > MAX_JSON_DEPTH) refuse("nested deeper than ", MAX_JSON_DEPTH, " levels");
        skip_space();
        Json value;
        switch (peek()) {
        case '{': parse_object(value, depth); break;
        case '[': parse_list(value, depth); break;
        case '"':
            value.kind = Json::Kind::String;
            value.text = parse_string();
            break;
        default:
            if (take_word("null")) break;
            if (take_word("true") || take_word("false")) {
                value.kind = Json::Kind::Bool;
                value.truth = data_[place_ - 2] == 'u';
                break;
            }
            parse_number(value);
        }
        return value;
    }

    void parse_object(Json &value, int64_t depth) {
        value.kind = Json::Kind::Object;
        ++place_;
        if (take('}')) return;
        do {
            skip_space();
            if (peek() != '"') refuse("expected a field's name");
            value.names.push_back(parse_string());
            if (!take(':')) refuse("expected ':'");
            value.items.push_back(parse_value(depth + 1));
        } while (take(','));
        if (!take('}')) refuse("expected ',' or '}'");
        std::vector<std::string_view> sorted(value.names.begin(), value.names.end());
        sort(sorted);
        if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) refuse("a field is given twice");
    }

    void parse_list(Json &value, int64_t depth) {
        value.kind = Json::Kind::List;
        ++place_;
        if (take(']')) return;
        do value.items.push_back(parse_value(depth + 1));
        while (take(','));
        if (!take(']')) refuse("expected ',' or ']'");
    }

    uint32_t parse_hex() {
        uint32_t value = 0;
        for (int i = 0; i < 4; ++i, ++place_) {
            char c = peek();
            bool digit = c >= '0' && c <= '9', letter = (c | 32) >= 'a' && (c | 32) <= 'f';
            if (!digit && !letter) refuse("expected four hexadecimal digits");
            value = value << 4 | static_cast<uint32_t>(digit ? c - '0' : (c | 32) - 'a' + 10);
        }
        return value;
    }

    std::string parse_string() {
        std::string out;
        for (++place_;; ++place_) {
            if (place_ >= data_.size()) refuse("a string does not end");
            char c = data_[place_];
            if (c == '"') break;
            if (static_cast<unsigned char>(c) < 0x20) refuse("a control character in a string");
            if (c != '\\') {
                out.push_back(c);
                continue;
            }
            ++place_;
            static const std::string_view marks = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
            size_t found = marks.find(peek());
            if (place_ < data_.size() && found != marks.npos) {
                out.push_back(meant[found]);
                continue;
            }
            if (peek() != 'u') refuse("an unknown escape");
            ++place_;
            uint32_t value = parse_hex();
            if (value >= 0xd800 && value < 0xdc00 && data_.substr(place_, 2) == "\\u") {
                place_ += 2;
                uint32_t low = parse_hex();
                if (low < 0xdc00 || low > 0xdfff) refuse("half of a surrogate pair");
                value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
            } else if (value >= 0xd800 && value < 0xe000) {
                refuse("half of a surrogate pair");
            }
            append_utf8(out, value);
            --place_;
        }
        ++place_;
        return out;
    }

    size_t take_digits() {
        size_t start = place_;
        while (peek() >= '0' && peek() <= '9') ++place_;
        return place_ - start;
    }

    void parse_number(Json &value) {
        size_t start = place_;
        if (peek() == '-') ++place_;
        size_t first = place_, digits = take_digits();
        if (digits == 0 || (digits > 1 && data_[first] == '0')) refuse("expected a value");
        bool whole = true;
        if (peek() == '.') {
            ++place_;
            whole = false;
            if (take_digits() == 0) refuse("expected digits");
        }
        if (peek() == 'e' || peek() == 'E') {
            ++place_;
            whole = false;
            if (peek() == '+' || peek() == '-') ++place_;
            if (take_digits() == 0) refuse("expected digits");
        }
        std::string text(data_.substr(start, place_ - start));
        if (whole && digits > MAX_DIGITS) refuse("a number of ", digits, " digits");
        value.kind = whole ? Json::Kind::Integer : Json::Kind::Real;
        value.real = std::strtod(text.c_str(), nullptr);
        if (!whole) return;
        errno = 0;
        value.integer = std::strtoll(text.c_str(), nullptr, 10);
        value.huge = errno == ERANGE;
        if (value.huge) value.text = text;
    }

    std::string_view data_;
    const std::string &where_;
    size_t place_ = 0;
};

void append_repr(std::string &out, const Json &value) {
    constexpr size_t ENOUGH = 400; // what is cut need not be written
    if (out.size() > ENOUGH) return;
    switch (value.kind) {
    case Json::Kind::Null: out += "None"; return;
    case Json::Kind::Bool: out += value.truth ? "True" : "False"; return;
    case Json::Kind::Integer: out += value.huge ? value.text : std::to_string(value.integer); return;
    case Json::Kind::Real: out += repr(value.real); return;
    case Json::Kind::String: out += quoted(value.text); return;
    default: break;
    }
    bool object = value.kind == Json::Kind::Object;
    out += object ? '{' : '[';
    for (size_t i = 0; i < value.items.size() && out.size() <= ENOUGH; ++i) {
        if (i) out += ", ";
        if (object) out += str(quoted(value.names[i]), ": ");
        append_repr(out, value.items[i]);
    }
    out += object ? '}' : ']';
}

} // namespace

const Json *Json::find(std::string_view name) const {
    for (size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) return &items[i];
    }
    return nullptr;
}

Json parse_json(std::string_view data, const std::string &where) { return Parser(data, where).whole(); }

const Json *Json::given(std::string_view name) const {
    const Json *found = find(name);
    return found && found->kind != Kind::Null ? found : nullptr;
}

std::string shown(const Json &value) {
    if (value.kind == Json::Kind::String) return shown(value.text);
    std::string out;
    append_repr(out, value);
    return cut(out);
}

} // namespace ob
