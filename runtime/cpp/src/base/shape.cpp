#include "base/shape.h"

#include "base/errors.h"

namespace ob {

Shape::Shape(const int64_t *begin, const int64_t *end) {
    for (; begin != end; ++begin) push_back(*begin);
}

void Shape::push_back(int64_t dim) {
    if (rank_ == MAX_RANK) fail(OVENBIRD_INTERNAL, "a shape has more than ", MAX_RANK, " dimensions");
    dims_[rank_++] = dim;
}

void Shape::push_front(int64_t dim) {
    push_back(dim);
    std::rotate(begin(), end() - 1, end());
}

bool operator==(const Shape &one, const Shape &two) {
    return std::equal(one.begin(), one.end(), two.begin(), two.end());
}

bool operator<(const Shape &one, const Shape &two) {
    return std::lexicographical_compare(one.begin(), one.end(), two.begin(), two.end());
}

} // namespace ob
