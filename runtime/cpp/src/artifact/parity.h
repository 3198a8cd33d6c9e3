// How far compiled code may be from the right answers, by program and variant (`ovenbird_runtime/manifest/parity.py`).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/schema.h"

namespace ob {

enum class Precision { F32, F16, Bf16, Int8 };

Precision read_precision(const Value &value);
const char *precision_name(Precision precision);

// The target's name, the precision after it unless f32.
std::string variant_name(const std::string &target, Precision precision);

struct Limits {
    double rms, peak, offset, mismatches;
};

// What code of a precision is held to unless other limits are given.
Limits usual_limits(Precision precision);

struct ProgramParity {
    std::vector<std::pair<std::string, Limits>> variants;
};

struct Parity {
    std::vector<std::pair<std::string, ProgramParity>> programs;

    // What a variant's code is held to: what the manifest says, or else what its precision is.
    Limits limits_for(const std::string &variant, Precision precision, const std::string &program) const;
};

Parity read_parity(const Value &value);

} // namespace ob
