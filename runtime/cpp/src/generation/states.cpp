#include "generation/states.h"

#include <cstring>
#include <numeric>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

StateBank::StateBank(const std::vector<KeptState> &states, size_t slots) : slots_(slots) {
    double needed = 0; // of products that may be beyond 64 bits
    for (const KeptState &state : states) {
        double bytes = static_cast<double>(info(state.dtype).bytes) * static_cast<double>(slots);
        for (int64_t dim : state.shape) bytes *= static_cast<double>(dim);
        needed += bytes;
    }
    if (needed > static_cast<double>(MAX_STATE_BYTES)) {
        constexpr double MIB = 1 << 20;
        fail(OVENBIRD_WRONG_OPTION, slots, " sequences take ", format("%.0f", needed / MIB), " MiB of state, limit ",
             MAX_STATE_BYTES >> 20, " MiB: fewer at a time");
    }
    for (const KeptState &state : states) {
        Kept kept{{}, static_cast<size_t>(state.bytes()), 1, static_cast<size_t>(state.capacity()), 0, {}, {}};
        for (size_t d = 0; d < state.axis; ++d) kept.outer *= static_cast<size_t>(state.shape[d]);
        kept.inner = kept.slot_bytes / kept.outer / kept.capacity;
        kept.memory = AlignedBytes(slots * kept.slot_bytes);
        std::memset(kept.memory.data(), 0, slots * kept.slot_bytes);
        kept.rows.resize(slots);
        kept.alike.resize(slots);
        kept_.push_back(std::move(kept));
    }
}

size_t StateBank::take() {
    for (Kept &kept : kept_) kept.rows[used_] = kept.alike[used_] = 0;
    return used_++;
}

void StateBank::append(size_t state, size_t slot, const unsigned char *rows, int64_t count) {
    Kept &kept = kept_[state];
    size_t bytes = static_cast<size_t>(count) * kept.inner, start = kept.rows[slot];
    if (start + static_cast<size_t>(count) > kept.capacity) { // which the manifest's checks rule out
        fail(OVENBIRD_INTERNAL, "a sequence has more rows than its state holds");
    }
    for (size_t i = 0; i < kept.outer; ++i) {
        std::memcpy(kept.part(slot, i) + start * kept.inner, rows + i * bytes, bytes);
    }
    kept.rows[slot] = start + static_cast<size_t>(count);
}

size_t StateBank::drop(size_t slot) {
    --used_;
    if (slot != used_) copy(used_, slot);
    return used_;
}

void StateBank::copy(size_t source, size_t target) {
    for (Kept &kept : kept_) {
        kept.rows[target] = kept.rows[source];
        kept.alike[target] = kept.alike[source];
        for (size_t i = 0; i < kept.outer; ++i) {
            std::memcpy(kept.part(target, i), kept.part(source, i), kept.rows[source] * kept.inner);
        }
    }
}

void StateBank::settle(size_t slot) {
    for (Kept &kept : kept_) kept.alike[slot] = kept.rows[slot];
}

void StateBank::reorder(const std::vector<size_t> &slots, const std::vector<size_t> &parents) {
    std::vector<size_t> same(slots.size());
    std::iota(same.begin(), same.end(), size_t{0});
    if (parents == same) return;
    for (Kept &kept : kept_) {
        size_t first = kept.alike[slots[0]] * kept.inner, bytes = kept.rows[slots[0]] * kept.inner - first;
        if (bytes == 0) continue;
        std::vector<unsigned char> moved(slots.size() * bytes);
        for (size_t i = 0; i < kept.outer; ++i) {
            for (size_t row = 0; row < slots.size(); ++row) {
                std::memcpy(&moved[row * bytes], kept.part(slots[parents[row]], i) + first, bytes);
            }
            for (size_t row = 0; row < slots.size(); ++row) {
                std::memcpy(kept.part(slots[row], i) + first, &moved[row * bytes], bytes);
            }
        }
    }
}

} // namespace ob
