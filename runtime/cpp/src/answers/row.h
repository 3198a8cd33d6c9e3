// One row of an output: the numbers of one image.
#pragma once

#include <string>

#include "artifact/dtype.h"
#include "base/json.h"

namespace ob {

struct Row {
    ovenbird_dtype dtype = OVENBIRD_FLOAT32;
    Shape shape; // without the batch
    const unsigned char *data = nullptr;

    size_t count() const { return static_cast<size_t>(product(shape, 1)); }
    double number(size_t place) const;
    const float *floats() const { return reinterpret_cast<const float *>(data); }
};

// As numpy's tolist() nests them; null where a number is not finite.
Json json_of(const Row &row);

// The sum as numpy adds numbers up: by pairs, so that rounding errors do not grow.
double pairwise_sum(const double *values, size_t count);

} // namespace ob
