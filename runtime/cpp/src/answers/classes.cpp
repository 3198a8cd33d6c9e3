#include "answers/classes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/text.h"

namespace ob {

std::string label_of(const std::vector<std::string> *labels, int64_t index) {
    bool known = labels && index >= 0 && static_cast<size_t>(index) < labels->size();
    return known ? (*labels)[static_cast<size_t>(index)] : str("class ", index);
}

std::vector<ClassScore> top_classes(const Row &logits, const std::vector<std::string> *labels, int64_t top) {
    std::vector<double> values(logits.count());
    for (size_t i = 0; i < values.size(); ++i) values[i] = logits.number(i);
    std::vector<size_t> places(values.size());
    std::iota(places.begin(), places.end(), size_t{0});
    size_t wanted = std::min(values.size(), static_cast<size_t>(top));
    auto better = [&](size_t one, size_t two) { // NaN last
        double a = values[one], b = values[two];
        if (std::isnan(a) != std::isnan(b)) return std::isnan(b);
        return a > b || (!(b > a) && one < two);
    };
    std::partial_sort(places.begin(), places.begin() + static_cast<long>(wanted), places.end(), better);
    places.resize(wanted);
    if (places.empty()) return {};
    double largest = values[places[0]];
    for (double &value : values) value = std::exp(value - largest);
    double total = pairwise_sum(values.data(), values.size());
    std::vector<ClassScore> found;
    for (size_t place : places) {
        int64_t index = static_cast<int64_t>(place);
        found.push_back({index, label_of(labels, index), values[place] / total});
    }
    return found;
}

} // namespace ob
