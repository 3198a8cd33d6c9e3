// Sorts a list where it lies, by a heap: a fifth of std::sort's code for each type, and about twice its time, which
// lists of names, sizes and boxes do not show. Equal items may change their order.
//
//     sort(names);
//     sort(found, std::greater<>());
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace ob {

template <typename Item, typename Less = std::less<>> void sort(std::vector<Item> &items, Less less = {}) {
    using std::swap;
    // First each item from the middle on sinks to its place in the heap, then the largest goes behind it, one by one.
    for (size_t start = items.size() / 2, end = items.size(); end > 1;) {
        if (start) {
            --start;
        } else {
            swap(items[0], items[--end]);
        }
        for (size_t place = start, child; (child = 2 * place + 1) < end; place = child) {
            if (child + 1 < end && less(items[child], items[child + 1])) ++child;
            if (!less(items[place], items[child])) break;
            swap(items[place], items[child]);
        }
    }
}

} // namespace ob
