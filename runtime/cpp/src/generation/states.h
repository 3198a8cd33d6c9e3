// The states of sequences in flight: a slot a sequence, filled without holes (`ovenbird_runtime/generation/states.py`).
//
//     StateBank bank(manifest.states, 4);
//     size_t slot = bank.take();               // the next one; it holds no rows yet
//     bank.append(0, slot, rows, 1);           // behind those that it has
//     bank.data(0)                             // what a program of any batch reads, where it lies
//     bank.drop(slot);                         // what lies in the last slot moves into the hole
#pragma once

#include <vector>

#include "artifact/generation.h"
#include "tensors/inputs.h"

namespace ob {

class StateBank {
  public:
    // Throws WrongOption where it is more memory than states may take.
    StateBank(const std::vector<KeptState> &states, size_t slots);

    size_t slots() const { return slots_; }
    size_t used() const { return used_; }
    // A state of all slots, at a multiple of 64 bytes; rows that were not written are zeros, or another sequence's.
    const unsigned char *data(size_t state) const { return kept_[state].memory.data(); }

    size_t take();
    // Writes `count` rows of a state behind those that the slot has.
    void append(size_t state, size_t slot, const unsigned char *rows, int64_t count);
    // Frees a slot; gives the one whose sequence lies there now, the last, or the slot itself where it was that.
    size_t drop(size_t slot);
    void copy(size_t source, size_t target);
    // Remembers that what the slot holds now is the same in all sequences that come of it.
    void settle(size_t slot);
    // Lets each of `slots`, copies of one, hold what `parents` of them held.
    void reorder(const std::vector<size_t> &slots, const std::vector<size_t> &parents);

  private:
    // A state's slots are `outer` parts, each of `capacity` rows of `inner` bytes.
    struct Kept {
        AlignedBytes memory;
        size_t slot_bytes, outer, capacity, inner;
        std::vector<size_t> rows, alike; // written, and the same in copies; by slot
        unsigned char *part(size_t slot, size_t number) const {
            return memory.data() + slot * slot_bytes + number * capacity * inner;
        }
    };

    std::vector<Kept> kept_;
    size_t slots_, used_ = 0;
};

} // namespace ob
