// Reading JSON into structures, strictly: unknown fields, wrong types and numbers out of range are refused by name.
//
//     Where where{"manifest.json"};
//     check_fields(value, where, "size sha256 blake3?");
//     record.size = whole_field(value, where, "size", 0, MAX_FILE_BYTES);
//
// The messages are those of `ovenbird_runtime/manifest/schema.py`.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "base/json.h"

namespace ob {

// Where a value stands in its file; made into text only for a message. Lives as long as what it was made from.
class Where {
  public:
    explicit Where(std::string_view file) : name_(file) {}
    Where field(std::string_view name) const { return Where(this, name, -1, false); }
    Where item(size_t index) const { return Where(this, {}, static_cast<long>(index), false); }
    Where key(std::string_view name) const { return Where(this, name, -1, true); }
    std::string text() const;

  private:
    Where(const Where *outer, std::string_view name, long index, bool quoted)
        : outer_(outer), name_(name), index_(index), quoted_(quoted) {}

    const Where *outer_ = nullptr;
    std::string_view name_;
    long index_ = -1;
    bool quoted_ = false;
};

// A kind of text: what it looks like for people, how long it may be, and whether a string is one.
struct TextKind {
    const char *pattern;
    int64_t max_chars;
    bool (*matches)(std::string_view);
};
extern const TextKind NAME, FOLDER, PATH, SHA256, PROGRAM, VERSION, FREE, LAYOUT, CPU_FEATURE, FUNCTION, KERNEL,
    FUNCTION_OR_NONE, COMPUTE, DRIVER, HEXADECIMAL;

[[noreturn]] void refuse_of(const Where &where, const Json &value, const char *letters, const PartWord *words);
template <typename... Parts> [[noreturn]] void refuse(const Where &where, const Json &value, const Parts &...expected) {
    const PartWord words[] = {part_word(expected)...};
    refuse_of(where, value, part_letters<Parts...>(), words);
}
template <typename... Parts> [[noreturn]] void invalid(const Parts &...message) {
    fail(OVENBIRD_MANIFEST_INVALID, message...);
}

// Names with spaces between them; those with a question mark may be left out.
void check_fields(const Json &value, const Where &where, std::string_view known);
const Json &check_list(const Json &value, const Where &where, int64_t low, int64_t high);
const Json &check_object(const Json &value, const Where &where, int64_t low, int64_t high, const TextKind *keys);
void check_text(std::string_view value, const std::string &where, const TextKind &kind);
void check_finite(const Json &value, const Where &where);

int64_t read_whole(const Json &value, const Where &where, int64_t low, int64_t high);
double read_real(const Json &value, const Where &where, double low, double high);
bool read_flag(const Json &value, const Where &where);
std::string read_text(const Json &value, const Where &where, const TextKind &kind);
std::vector<int64_t> read_wholes(const Json &value, const Where &where, int64_t low, int64_t high, int64_t least,
                                 int64_t most);

// What is said of a field that the object has.
int64_t whole_field(const Json &object, const Where &where, const char *name, int64_t low, int64_t high);
std::string text_field(const Json &object, const Where &where, const char *name, const TextKind &kind);
std::vector<int64_t> wholes_field(const Json &object, const Where &where, const char *name, int64_t low, int64_t high,
                                  int64_t least, int64_t most);

// A list whose items `read(into, value, where)` reads, each in its place: nothing is moved while it grows.
template <typename Item, typename Read>
std::vector<Item> read_items(const Json &value, const Where &where, int64_t low, int64_t high, const Read &read) {
    const std::vector<Json> &items = check_list(value, where, low, high).items;
    std::vector<Item> found(items.size());
    for (size_t i = 0; i < items.size(); ++i) read(found[i], items[i], where.item(i));
    return found;
}

std::vector<std::string> read_texts(const Json &value, const Where &where, int64_t least, int64_t most,
                                    const TextKind &kind);

// The place of a string among the options.
size_t read_choice(const Json &value, const Where &where, std::initializer_list<const char *> options);

// The field of an object, nullptr where it is not there or null.
const Json *given(const Json &object, std::string_view name);

} // namespace ob
