// Numbers as `modules/imgproc/src/resize.cpp` has them: places in float32, weights of 11 bits; 4 bits are cut of the
// sum along a row, 16 of each of two rows' products, the last two are rounded.
#include "pipeline/linear.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ob {

namespace {

constexpr float WEIGHT = 1 << 11;
constexpr int ROW_SHIFT = 4, PRODUCT_SHIFT = 16, LAST_SHIFT = 2;

// The two source pixels that a pixel lies between, and their weights.
struct Tap {
    int64_t places[2];
    int32_t weights[2];
};

// At an edge a pixel along a row takes the last one whole; a row takes the last one twice, its weights as they are.
std::vector<Tap> taps_of(int64_t size, int64_t wanted, int64_t start, int64_t count, bool rows) {
    std::vector<Tap> taps;
    double scale = 1.0 / (static_cast<double>(wanted) / static_cast<double>(size));
    for (int64_t i = start; i < start + count; ++i) {
        float centre = static_cast<float>((static_cast<double>(i) + 0.5) * scale - 0.5);
        int64_t first = static_cast<int64_t>(std::floor(centre));
        float part = centre - static_cast<float>(first);
        if (!rows) {
            if (first < 0 || first >= size - 1) part = 0.0f;
            first = std::clamp<int64_t>(first, 0, size - 1);
        }
        auto within = [&](int64_t place) { return std::clamp<int64_t>(place, 0, size - 1); };
        auto weight = [](float share) { return static_cast<int32_t>(std::nearbyint(share * WEIGHT)); };
        taps.push_back({{within(first), within(first + 1)}, {weight(1.0f - part), weight(part)}});
    }
    return taps;
}

// A source row resized along itself.
void along(const uint8_t *in, const std::vector<Tap> &taps, int64_t channels, int32_t *out) {
    for (const Tap &tap : taps) {
        const uint8_t *one = in + tap.places[0] * channels, *two = in + tap.places[1] * channels;
        for (int64_t c = 0; c < channels; ++c) {
            *out++ = (one[c] * tap.weights[0] + two[c] * tap.weights[1]) >> ROW_SHIFT;
        }
    }
}

} // namespace

Picture by_opencv(const Picture &picture, int64_t width, int64_t height, const Area &window) {
    std::vector<Tap> across = taps_of(picture.width, width, window.left, window.width, false);
    std::vector<Tap> down = taps_of(picture.height, height, window.top, window.height, true);
    Picture found(window.width, window.height, picture.channels);
    std::vector<int32_t> rows[2]; // the two that were made last
    int64_t places[2] = {-1, -1};
    for (std::vector<int32_t> &row : rows) row.resize(found.row_bytes());
    for (int64_t y = 0; y < found.height; ++y) {
        const Tap &tap = down[static_cast<size_t>(y)];
        if (places[1] == tap.places[0]) {
            std::swap(rows[0], rows[1]);
            std::swap(places[0], places[1]);
        }
        for (int i = 0; i < 2; ++i) {
            if (places[i] == tap.places[i]) continue;
            along(picture.row(tap.places[i]), across, picture.channels, rows[i].data());
            places[i] = tap.places[i];
        }
        uint8_t *out = found.row(y);
        for (size_t i = 0; i < found.row_bytes(); ++i) {
            int32_t sum =
                ((rows[0][i] * tap.weights[0]) >> PRODUCT_SHIFT) + ((rows[1][i] * tap.weights[1]) >> PRODUCT_SHIFT);
            out[i] = static_cast<uint8_t>((sum + (1 << LAST_SHIFT >> 1)) >> LAST_SHIFT);
        }
    }
    return found;
}

} // namespace ob
