#include "artifact/dtype.h"

#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr DtypeInfo DTYPES[] = {
    {"float32", 4, 2, 32, 'f'}, {"float16", 2, 2, 16, 'f'}, {"float64", 8, 2, 64, 'f'}, {"int8", 1, 0, 8, 'i'},
    {"int16", 2, 0, 16, 'i'},   {"int32", 4, 0, 32, 'i'},   {"int64", 8, 0, 64, 'i'},   {"uint8", 1, 1, 8, 'u'},
    {"uint16", 2, 1, 16, 'u'},  {"uint32", 4, 1, 32, 'u'},  {"uint64", 8, 1, 64, 'u'},  {"bool", 1, 6, 8, 'b'},
};

} // namespace

const DtypeInfo &info(ovenbird_dtype dtype) { return DTYPES[dtype]; }

ovenbird_dtype read_dtype(const Value &value) {
    return static_cast<ovenbird_dtype>(
        read_choice(value, "float32 float16 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool"));
}

std::string shape_text(const Shape &shape, bool quotes) {
    std::string out = "(";
    for (size_t i = 0; i < shape.size(); ++i) {
        if (i) out += ", ";
        if (shape[i] >= 0) {
            out += std::to_string(shape[i]);
        } else {
            std::string name(1, "NHW?"[-1 - shape[i]]);
            out += quotes ? "'" + name + "'" : name;
        }
    }
    return out + (shape.size() == 1 ? ",)" : ")");
}

int64_t product(const Shape &shape, int64_t factor, bool at_least_one) {
    constexpr int64_t MOST = int64_t{1} << 62;
    bool beyond = false;
    int64_t result = factor;
    for (int64_t dim : shape) {
        int64_t size = at_least_one && dim < 1 ? 1 : dim;
        if (size == 0) return 0;
        if (result > MOST / size) beyond = true;
        if (!beyond) result *= size;
    }
    return beyond ? -1 : result;
}

} // namespace ob
