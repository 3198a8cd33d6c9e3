// Numbers from one type to another of the same kind, as numpy's astype does it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "artifact/program.h"

namespace ob {

// `count` numbers of type `from` as those of `spec`, whose kind is the same; `data` may lie at any address. Throws
// WrongDtype where a whole number does not fit.
void convert(const TensorSpec &spec, ovenbird_dtype from, const void *data, size_t count, void *out);

// How many are NaN or infinite; 0 for types that have neither.
size_t count_not_finite(ovenbird_dtype dtype, const void *data, size_t count);

// Numbers as float64, of any type.
double number_at(ovenbird_dtype dtype, const void *data, size_t place);

// Whole numbers as int64; of an unsigned one beyond that the same bits.
struct Whole {
    int64_t value;
    bool beyond;
};
Whole whole_at(ovenbird_dtype dtype, const void *data, size_t place);

} // namespace ob
