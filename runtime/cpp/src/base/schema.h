// Reading JSON into structures, strictly: unknown fields, wrong types and numbers out of range are refused by name.
//
//     Value value(json, "manifest.json");
//     check_fields(value, "size sha256 blake3?");
//     value.whole("size", record.size, 0, MAX_FILE_BYTES);
//
// The messages are those of `ovenbird_runtime/manifest/schema.py`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "base/json.h"
#include "base/shape.h"

namespace ob {

// A kind of text: what it looks like for people, how long it may be, and whether a string is one.
struct TextKind {
    const char *pattern;
    int64_t max_chars;
    bool (*matches)(std::string_view);
};
extern const TextKind NAME, FOLDER, PATH, SHA256, PROGRAM, VERSION, FREE, LAYOUT, CPU_FEATURE, FUNCTION, KERNEL,
    FUNCTION_OR_NONE, COMPUTE, DRIVER, HEXADECIMAL;

// A value, or that there is none, and where it stands in its file, which is made into text only for a message. Lives as
// long as what it was made from.
class Value {
  public:
    Value(const Json &json, std::string_view file);

    explicit operator bool() const { return there_; }
    const Json &operator*() const { return *json_; } // null where there is none
    const Json *operator->() const { return json_; }
    std::string where() const;

    Value item(size_t index) const;       // of a list
    Value entry(size_t index) const;      // of an object, by its place
    Value field(const char *name) const;  // none where the object does not have it
    Value given(const char *name) const;  // nor where it is null

    // A field that is there goes into its place.
    void text(const char *name, std::string &into, const TextKind &kind) const;
    void whole(const char *name, int64_t &into, int64_t low, int64_t high) const;
    void real(const char *name, double &into, double low, double high) const;
    void flag(const char *name, bool &into) const;
    void shape(const char *name, Shape &into, int64_t low, int64_t high, int64_t least, int64_t most) const;
    void wholes(const char *name, std::vector<int64_t> &into, int64_t low, int64_t high, int64_t least,
                int64_t most) const;
    template <typename Kind> void choice(const char *name, Kind &into, const char *options) const;

  private:
    Value(const Json *json, const Value &outer, std::string_view name, long index);

    const Json *json_;
    bool there_;
    const Value *outer_ = nullptr;
    std::string_view name_; // of a field or an entry, or the file
    long index_ = FIELD;
    static constexpr long FIELD = -1, ENTRY = -2;
};

[[noreturn]] void refuse_of(const Value &value, const std::string &expected);
template <typename... Parts> [[noreturn]] void refuse(const Value &value, const Parts &...expected) {
    refuse_of(value, str(expected...));
}
template <typename... Parts> [[noreturn]] void invalid(const Parts &...message) {
    fail(OVENBIRD_MANIFEST_INVALID, message...);
}

// Names with spaces between them; those with a question mark may be left out.
void check_fields(const Value &value, const char *fields);
// Give how many items there are.
size_t check_list(const Value &value, int64_t low, int64_t high);
size_t check_object(const Value &value, int64_t low, int64_t high, const TextKind *keys);
void check_text(std::string_view value, const std::string &where, const TextKind &kind);
void check_finite(const Value &value);

int64_t read_whole(const Value &value, int64_t low, int64_t high);
double read_real(const Value &value, double low, double high);
std::string read_text(const Value &value, const TextKind &kind);
std::vector<std::string> read_texts(const Value &value, int64_t least, int64_t most, const TextKind &kind);

// The place of a string among the options, which have spaces between them.
size_t read_choice(const Value &value, const char *options);
template <typename Kind> void Value::choice(const char *name, Kind &into, const char *options) const {
    if (Value found = field(name)) into = static_cast<Kind>(read_choice(found, options));
}

// A list whose items `read(into, value)` reads, each in its place: nothing is moved while it grows.
template <typename Item, typename Read>
std::vector<Item> read_items(const Value &value, int64_t low, int64_t high, const Read &read) {
    std::vector<Item> found(check_list(value, low, high));
    for (size_t i = 0; i < found.size(); ++i) read(found[i], value.item(i));
    return found;
}

} // namespace ob
