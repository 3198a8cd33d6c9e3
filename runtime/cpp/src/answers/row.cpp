#include "answers/row.h"

#include "tensors/convert.h"

namespace ob {

namespace {

Json json_of_whole(ovenbird_dtype dtype, const unsigned char *data, size_t place) {
    Whole number = whole_at(dtype, data, place);
    Json value = json_of(number.value);
    value.huge = number.beyond;
    if (number.beyond) value.text = std::to_string(static_cast<uint64_t>(number.value));
    return value;
}

Json number_of(const Row &row, size_t place) {
    switch (info(row.dtype).kind) {
    case 'f': return json_of(row.number(place));
    case 'b': return json_of(row.data[place] != 0);
    default: return json_of_whole(row.dtype, row.data, place);
    }
}

Json nested(const Row &row, size_t dim, size_t &place) {
    if (dim == row.shape.size()) return number_of(row, place++);
    std::vector<Json> items;
    for (int64_t i = 0; i < row.shape[dim]; ++i) items.push_back(nested(row, dim + 1, place));
    return json_list(std::move(items));
}

} // namespace

double Row::number(size_t place) const { return number_at(dtype, data, place); }

Json json_of(const Row &row) {
    size_t place = 0;
    return nested(row, 0, place);
}

double pairwise_sum(const double *values, size_t count) {
    if (count < 8) {
        double sum = 0.0;
        for (size_t i = 0; i < count; ++i) sum += values[i];
        return sum;
    }
    if (count > 128) {
        size_t half = count / 2;
        half -= half % 8;
        return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
    }
    double sums[8];
    for (size_t i = 0; i < 8; ++i) sums[i] = values[i];
    size_t place = 8;
    for (; place + 8 <= count; place += 8) {
        for (size_t i = 0; i < 8; ++i) sums[i] += values[place + i];
    }
    double sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; place < count; ++place) sum += values[place];
    return sum;
}

} // namespace ob
