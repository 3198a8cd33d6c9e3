// Every error of the runtime: a status of the C interface and one printable line, thrown as a value.
//
//     fail(OVENBIRD_FILE_CHANGED, str(name, " has ", size, " bytes, limit ", limit));
//
// A message says what is wrong, the value, the limit and the fix, in the words of the Python runtime.
#pragma once

#include <string>

#include "ovenbird.h"

namespace ob {

struct Error {
    ovenbird_status status;
    std::string message;
};

// Throws an Error whose message is made one line.
[[noreturn]] void fail(ovenbird_status status, const std::string &message);

// The name of a status as the Python runtime's class has it.
const char *status_name(ovenbird_status status);

} // namespace ob
