#include "tensors/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/errors.h"
#include "base/text.h"

namespace ob {

namespace {

template <typename T> T load(const void *data, size_t place) {
    T value;
    std::memcpy(&value, static_cast<const unsigned char *>(data) + place * sizeof(T), sizeof value);
    return value;
}

double half_to_double(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double sign = half >> 15 ? -1.0 : 1.0;
    if (exponent == 31) return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
    return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

// To the nearest, ties to even, as IEEE 754 and numpy have it.
uint16_t double_to_half(double value) {
    uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    double size = std::fabs(value);
    if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00);
    if (size >= 65520.0) return static_cast<uint16_t>(sign | 0x7c00);
    int exponent = 0;
    std::frexp(size, &exponent); // size = 0.5..1 * 2**exponent
    int unit = std::max(exponent - 11, -24);
    int steps = static_cast<int>(std::nearbyint(std::ldexp(size, -unit)));
    // Steps of 1024..2047 at one exponent; 2048 is the first of the next one.
    int bits = unit == -24 ? steps : ((unit + 24) << 10) + steps;
    return static_cast<uint16_t>(sign | bits);
}

// Whole numbers by way of 64 bits: one function for all pairs of types.
void convert_whole(const TensorSpec &spec, ovenbird_dtype from, const void *data, size_t count, void *out) {
    const DtypeInfo &to = info(spec.dtype);
    bool is_signed = to.kind == 'i', any_beyond = false;
    uint64_t top = ~uint64_t{0} >> (64 - to.bits + is_signed), highest = 0;
    int64_t bottom = is_signed ? -static_cast<int64_t>(top) - 1 : 0, low = INT64_MAX, high = INT64_MIN;
    unsigned char *place = static_cast<unsigned char *>(out);
    for (size_t i = 0; i < count; ++i, place += to.bytes) {
        Whole number = whole_at(from, data, i);
        if (number.beyond) {
            any_beyond = true;
            highest = std::max(highest, static_cast<uint64_t>(number.value));
            low = std::min(low, INT64_MAX);
        } else {
            low = std::min(low, number.value);
            high = std::max(high, number.value);
        }
        std::memcpy(place, &number.value, static_cast<size_t>(to.bytes)); // little endian
    }
    if (!any_beyond && high >= 0) highest = static_cast<uint64_t>(high);
    bool fits = low >= bottom && (highest <= top);
    if (fits) return;
    std::string most = any_beyond || high >= 0 ? str(highest) : str(high);
    fail(OVENBIRD_WRONG_DTYPE, spec.name, " holds ", low, " to ", most, ", beyond ", to.name, " (", bottom, " to ", top,
         ")");
}

void convert_floating(const TensorSpec &spec, ovenbird_dtype from, const void *data, size_t count, void *out) {
    for (size_t i = 0; i < count; ++i) {
        double value = number_at(from, data, i);
        if (spec.dtype == OVENBIRD_FLOAT32) static_cast<float *>(out)[i] = static_cast<float>(value);
        if (spec.dtype == OVENBIRD_FLOAT64) static_cast<double *>(out)[i] = value;
        if (spec.dtype == OVENBIRD_FLOAT16) static_cast<uint16_t *>(out)[i] = double_to_half(value);
    }
}

} // namespace

void convert(const TensorSpec &spec, ovenbird_dtype from, const void *data, size_t count, void *out) {
    if (count == 0) return;
    if (spec.dtype == from) {
        std::memcpy(out, data, count * static_cast<size_t>(info(from).bytes));
        return;
    }
    if (info(from).kind == 'f') return convert_floating(spec, from, data, count, out);
    convert_whole(spec, from, data, count, out);
}

// The numbers whose exponent is all ones: NaN and infinity. In blocks of a known length, which compilers make vectors of.
template <typename Word> static size_t count_exponents(Word exponent, const void *data, size_t count) {
    constexpr size_t BLOCK = 256;
    const auto *bytes = static_cast<const unsigned char *>(data);
    size_t bad = 0, i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
        Word found = 0;
        for (size_t j = 0; j < BLOCK; ++j) {
            found = static_cast<Word>(found + ((load<Word>(bytes + i * sizeof(Word), j) & exponent) == exponent));
        }
        bad += static_cast<size_t>(found);
    }
    for (; i < count; ++i) bad += (load<Word>(data, i) & exponent) == exponent;
    return bad;
}

size_t count_not_finite(ovenbird_dtype dtype, const void *data, size_t count) {
    switch (dtype) {
    case OVENBIRD_FLOAT32: return count_exponents<uint32_t>(0x7f800000u, data, count);
    case OVENBIRD_FLOAT16: return count_exponents<uint16_t>(0x7c00u, data, count);
    case OVENBIRD_FLOAT64: return count_exponents<uint64_t>(0x7ff0000000000000u, data, count);
    default: return 0;
    }
}

double number_at(ovenbird_dtype dtype, const void *data, size_t place) {
    switch (dtype) {
    case OVENBIRD_FLOAT32: return static_cast<double>(load<float>(data, place));
    case OVENBIRD_FLOAT16: return half_to_double(load<uint16_t>(data, place));
    case OVENBIRD_FLOAT64: return load<double>(data, place);
    case OVENBIRD_INT8: return load<int8_t>(data, place);
    case OVENBIRD_INT16: return load<int16_t>(data, place);
    case OVENBIRD_INT32: return load<int32_t>(data, place);
    case OVENBIRD_INT64: return static_cast<double>(load<int64_t>(data, place));
    case OVENBIRD_UINT8: return load<uint8_t>(data, place);
    case OVENBIRD_UINT16: return load<uint16_t>(data, place);
    case OVENBIRD_UINT32: return load<uint32_t>(data, place);
    case OVENBIRD_UINT64: return static_cast<double>(load<uint64_t>(data, place));
    case OVENBIRD_BOOL: return load<uint8_t>(data, place) != 0;
    }
    return 0;
}

Whole whole_at(ovenbird_dtype dtype, const void *data, size_t place) {
    switch (dtype) {
    case OVENBIRD_INT8: return {load<int8_t>(data, place), false};
    case OVENBIRD_INT16: return {load<int16_t>(data, place), false};
    case OVENBIRD_INT32: return {load<int32_t>(data, place), false};
    case OVENBIRD_INT64: return {load<int64_t>(data, place), false};
    case OVENBIRD_UINT16: return {load<uint16_t>(data, place), false};
    case OVENBIRD_UINT32: return {load<uint32_t>(data, place), false};
    case OVENBIRD_UINT64: {
        int64_t value = load<int64_t>(data, place);
        return {value, value < 0};
    }
    default: return {load<uint8_t>(data, place), false};
    }
}

} // namespace ob
