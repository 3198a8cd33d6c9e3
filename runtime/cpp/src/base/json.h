// JSON (RFC 8259) read strictly: no NaN, no field twice, no half of a surrogate pair, at most MAX_JSON_DEPTH levels.
//
//     Json value = parse_json(data, "manifest.json");
//     value.find("files")->names[0]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ob {

struct Json {
    enum class Kind { Null, Bool, Integer, Real, String, List, Object };

    Kind kind = Kind::Null;
    bool truth = false;
    bool huge = false; // an integer beyond 64 bits: its digits are in `text`
    int64_t integer = 0;
    double real = 0; // of an integer too
    std::string text;
    std::vector<Json> items;        // of a list, and the values of an object
    std::vector<std::string> names; // of an object's fields, in order

    // The value of a field; nullptr where there is none.
    const Json *find(std::string_view name) const;
    const Json *given(std::string_view name) const; // nor where it is null
    bool is_number() const { return kind == Kind::Integer || kind == Kind::Real; }
};

// Reads bytes; throws ManifestInvalid, `where` names the file.
Json parse_json(std::string_view data, const std::string &where);

// A value quoted as Python would, cut for a message.
std::string shown(const Json &value);

// Writes a value as Python's json.dumps(indent=2) does: ASCII only.
std::string json_text(const Json &value);
std::string json_quoted(std::string_view text);

// To make values of.
Json json_of(std::string_view text);
Json json_of(int64_t number);
Json json_of(bool truth);
Json json_of(double number); // null where it is not finite
Json json_list(std::vector<Json> items = {});
Json json_numbers(const double *numbers, size_t count);

// An object's fields, in order.
class JsonObject {
  public:
    JsonObject &add(const std::string &name, Json value);
    JsonObject &add(const char *name, Json value);
    JsonObject &add(const char *name, const char *text);
    JsonObject &add(const char *name, const std::string &text);
    JsonObject &add(const char *name, int64_t number);
    JsonObject &add(const char *name, double number);
    JsonObject &add(const char *name, bool truth);
    Json done() { return std::move(value_); }

  private:
    Json value_{Json::Kind::Object, false, false, 0, 0, {}, {}, {}};
};

} // namespace ob
