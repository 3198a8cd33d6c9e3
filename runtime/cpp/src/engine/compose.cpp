#include "engine/compose.h"

#include <algorithm>
#include <functional>

#include "base/sort.h"

namespace ob {

namespace {

constexpr double CALL_COST_IN_IMAGES = 0.1;

double cost(int64_t size) { return static_cast<double>(size) + CALL_COST_IN_IMAGES; }

} // namespace

std::vector<int64_t> plan_batches(int64_t count, std::vector<int64_t> sizes) {
    sort(sizes);
    int64_t largest = sizes.back(); // the cheapest an image
    // Only the last stretch is worth an exact search.
    int64_t tail = std::min(count, 4 * largest), whole = (count - tail) / largest;
    tail = count - whole * largest;
    struct Best {
        double cost;
        int64_t last;
    };
    std::vector<Best> best{{0.0, 0}};
    for (int64_t n = 1; n <= tail; ++n) {
        Best least{0, 0};
        for (int64_t size : sizes) { // of equal costs the larger size
            double total = best[static_cast<size_t>(std::max<int64_t>(0, n - size))].cost + cost(size);
            if (least.last == 0 || total <= least.cost) least = {total, size};
        }
        best.push_back(least);
    }
    std::vector<int64_t> found(static_cast<size_t>(whole), largest);
    for (int64_t rest = tail; rest > 0;) {
        int64_t size = best[static_cast<size_t>(rest)].last;
        found.push_back(size);
        rest -= size;
    }
    sort(found, std::greater<>());
    return found;
}

} // namespace ob
