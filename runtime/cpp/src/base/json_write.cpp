// Writing JSON as Python's json.dumps(value, indent=2) does.
#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "base/text.h"

namespace ob {

namespace {

void append_quoted(std::string &out, std::string_view text) {
    out.push_back('"');
    for (size_t place = 0; place < text.size();) {
        CodePoint next = code_point(text, place);
        place += next.bytes;
        uint32_t value = next.value < 0 ? 0xfffd : static_cast<uint32_t>(next.value);
        static const std::string_view plain = "\"\\\n\r\t\b\f", marks = "\"\\nrtbf";
        size_t found = value < 0x80 ? plain.find(static_cast<char>(value)) : plain.npos;
        char text16[16];
        if (found != plain.npos) {
            out += {'\\', marks[found]};
        } else if (value >= 0x20 && value < 0x7f) {
            out.push_back(static_cast<char>(value));
        } else if (value < 0x10000) {
            std::snprintf(text16, sizeof text16, "\\u%04x", value);
            out += text16;
        } else {
            value -= 0x10000;
            std::snprintf(text16, sizeof text16, "\\u%04x\\u%04x", 0xd800 + (value >> 10), 0xdc00 + (value & 0x3ff));
            out += text16;
        }
    }
    out.push_back('"');
}

void append_json(std::string &out, const Json &value, size_t indent) {
    switch (value.kind) {
    case Json::Kind::Null: out += "null"; return;
    case Json::Kind::Bool: out += value.truth ? "true" : "false"; return;
    case Json::Kind::Integer: out += value.huge ? value.text : std::to_string(value.integer); return;
    case Json::Kind::Real: out += repr(value.real); return;
    case Json::Kind::String: append_quoted(out, value.text); return;
    default: break;
    }
    bool object = value.kind == Json::Kind::Object;
    out.push_back(object ? '{' : '[');
    for (size_t i = 0; i < value.items.size(); ++i) {
        out += i ? ",\n" : "\n";
        out.append(indent + 2, ' ');
        if (object) {
            append_quoted(out, value.names[i]);
            out += ": ";
        }
        append_json(out, value.items[i], indent + 2);
    }
    if (!value.items.empty()) out.append(1, '\n').append(indent, ' ');
    out.push_back(object ? '}' : ']');
}

} // namespace

std::string json_quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

std::string json_text(const Json &value) {
    std::string out;
    append_json(out, value, 0);
    return out;
}

Json json_of(std::string_view text) {
    Json value;
    value.kind = Json::Kind::String;
    value.text = text;
    return value;
}

Json json_of(int64_t number) {
    Json value;
    value.kind = Json::Kind::Integer;
    value.integer = number;
    value.real = static_cast<double>(number);
    return value;
}

Json json_of(bool truth) {
    Json value;
    value.kind = Json::Kind::Bool;
    value.truth = truth;
    return value;
}

Json json_of(double number) {
    Json value;
    if (!std::isfinite(number)) return value;
    value.kind = Json::Kind::Real;
    value.real = number;
    return value;
}

Json json_list(std::vector<Json> items) {
    Json value;
    value.kind = Json::Kind::List;
    value.items = std::move(items);
    return value;
}

Json json_numbers(const double *numbers, size_t count) {
    std::vector<Json> items(count);
    for (size_t i = 0; i < count; ++i) items[i] = json_of(numbers[i]);
    return json_list(std::move(items));
}

JsonObject &JsonObject::add(const std::string &name, Json value) {
    value_.names.push_back(name);
    value_.items.push_back(std::move(value));
    return *this;
}

JsonObject &JsonObject::add(const char *name, Json value) { return add(std::string(name), std::move(value)); }
JsonObject &JsonObject::add(const char *name, const char *text) { return add(name, json_of(std::string_view(text))); }
JsonObject &JsonObject::add(const char *name, const std::string &text) { return add(name, json_of(text)); }
JsonObject &JsonObject::add(const char *name, int64_t number) { return add(name, json_of(number)); }
JsonObject &JsonObject::add(const char *name, double number) { return add(name, json_of(number)); }
JsonObject &JsonObject::add(const char *name, bool truth) { return add(name, json_of(truth)); }

} // namespace ob
