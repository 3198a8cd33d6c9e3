// The kinds of number, and shapes that the manifest leaves open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/schema.h"
#include "base/shape.h"
#include "ovenbird.h"

namespace ob {

struct DtypeInfo {
    const char *name;
    int64_t bytes;
    uint8_t code; // DLPack's
    uint8_t bits;
    char kind; // numpy's: f, i, u, b
};

const DtypeInfo &info(ovenbird_dtype dtype);
ovenbird_dtype read_dtype(const Value &value);

// Dimensions that depend on the call, as they stand in ovenbird_spec.
constexpr int64_t DIM_BATCH = -1, DIM_HEIGHT = -2, DIM_WIDTH = -3, DIM_OPEN = -4;

// As Python writes a tuple: ('N', 3, 32, 32); `plain` without quotes: (N, 3, 32, 32).
std::string shape_text(const Shape &shape, bool quotes = true);

// The product of a shape's dimensions and `factor`, -1 beyond 2**62: sizes are products of hostile numbers. With
// `at_least_one` an empty dimension counts as one.
int64_t product(const Shape &shape, int64_t factor, bool at_least_one = false);

} // namespace ob
