// Embeddings to their statistics (`ovenbird_runtime/postprocess/embedding.py`).
#pragma once

#include "answers/row.h"

namespace ob {

// The mean and the population variance over all elements, in float64.
struct Embedding {
    double mean, variance;
};

Embedding summarise(const Row &row);

} // namespace ob
