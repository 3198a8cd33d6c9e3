#include "answers/embedding.h"

#include <vector>

namespace ob {

Embedding summarise(const Row &row) {
    std::vector<double> values(row.count());
    for (size_t i = 0; i < values.size(); ++i) values[i] = row.number(i);
    double count = static_cast<double>(values.size()), mean = pairwise_sum(values.data(), values.size()) / count;
    for (double &value : values) value = (value - mean) * (value - mean);
    return {mean, pairwise_sum(values.data(), values.size()) / count};
}

} // namespace ob
