// A tensor's dimensions: a value of MAX_RANK numbers at most, without memory of its own.
//
//     Shape shape{1, 3, 224, 224};
//     shape.push_back(4);                    // throws Internal beyond MAX_RANK: what is read from files is checked before
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "base/limits.h"

namespace ob {

class Shape {
  public:
    Shape() = default;
    Shape(std::initializer_list<int64_t> dims) : Shape(dims.begin(), dims.end()) {}
    Shape(const int64_t *begin, const int64_t *end);

    size_t size() const { return rank_; }
    bool empty() const { return rank_ == 0; }
    int64_t *begin() { return dims_; }
    int64_t *end() { return dims_ + rank_; }
    const int64_t *begin() const { return dims_; }
    const int64_t *end() const { return dims_ + rank_; }
    const int64_t *data() const { return dims_; }
    int64_t &operator[](size_t place) { return dims_[place]; }
    int64_t operator[](size_t place) const { return dims_[place]; }
    int64_t &back() { return dims_[rank_ - 1]; }
    int64_t back() const { return dims_[rank_ - 1]; }
    void clear() { rank_ = 0; }
    void push_back(int64_t dim);
    void push_front(int64_t dim);

  private:
    size_t rank_ = 0;
    int64_t dims_[MAX_RANK] = {};
};

bool operator==(const Shape &one, const Shape &two);
inline bool operator!=(const Shape &one, const Shape &two) { return !(one == two); }
bool operator<(const Shape &one, const Shape &two); // as lists of numbers stand in order

} // namespace ob
