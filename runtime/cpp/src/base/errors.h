// Every error of the runtime: a status of the C interface and one printable line, thrown as a value.
//
//     fail(OVENBIRD_FILE_CHANGED, name, " has ", size, " bytes, limit ", limit);
//
// A message says what is wrong, the value, the limit and the fix, in the words of the Python runtime.
#pragma once

#include <string>

#include "base/text.h"
#include "ovenbird.h"

namespace ob {

struct Error {
    ovenbird_status status;
    std::string message;
};

// Throws an Error whose message is the parts, made one line. They are put together there, not at each of the hundreds
// of calls, which keeps those small.
[[noreturn]] void fail_of(ovenbird_status status, const char *letters, ...);
template <typename... Parts> [[noreturn]] void fail(ovenbird_status status, const Parts &...parts) {
    fail_of(status, part_letters<Parts...>(), part_word(parts)...);
}

// The name of a status as the Python runtime's class has it.
const char *status_name(ovenbird_status status);

} // namespace ob
