// Where a network's input lies in the photograph it was made from (`ovenbird_runtime/tensors/frame.py`).
//
//     frame.to_original(112.0, 0)             // across; 1 for down
#pragma once

#include <array>
#include <cstdint>

namespace ob {

struct Frame {
    // Across, then down.
    std::array<int64_t, 2> original{}, size{};
    std::array<double, 2> scale{1.0, 1.0}, offset{0.0, 0.0};

    static Frame of(int64_t width, int64_t height) { return {{width, height}, {width, height}}; }

    void resize(int64_t width, int64_t height) {
        std::array<int64_t, 2> wanted{width, height};
        for (size_t axis = 0; axis < 2; ++axis) {
            double factor = static_cast<double>(wanted[axis]) / static_cast<double>(size[axis]);
            scale[axis] *= factor;
            offset[axis] *= factor;
        }
        size = wanted;
    }
    void crop(int64_t left, int64_t top, int64_t width, int64_t height) {
        offset[0] -= static_cast<double>(left);
        offset[1] -= static_cast<double>(top);
        size = {width, height};
    }
    double to_input(double place, size_t axis) const { return place * scale[axis] + offset[axis]; }
    double to_original(double place, size_t axis) const { return (place - offset[axis]) / scale[axis]; }
};

} // namespace ob
