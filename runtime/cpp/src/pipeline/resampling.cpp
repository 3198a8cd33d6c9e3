// Pillow's filters (`src/libImaging/Resample.c`): fixed point of 22 bits, one axis after the other, 8 bits between.
// `ovenbird_runtime/preprocess/resampling.py` explains it.
#include "pipeline/resampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "pipeline/linear.h"

namespace ob {

namespace {

constexpr int PRECISION_BITS = 22;

double bilinear(double x) {
    x = std::fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) { // cubic convolution with a = -0.5 (Keys, 1981)
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

double sinc(double x) {
    if (x == 0.0) return 1.0;
    x = x * M_PI;
    return std::sin(x) / x;
}

double lanczos(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

// For each pixel along an axis: where its source pixels begin, how many, and their weights.
struct Taps {
    std::vector<int64_t> starts, counts;
    std::vector<int32_t> weights; // `most` of each pixel
    size_t most = 0;

    const int32_t *of(int64_t pixel) const { return weights.data() + static_cast<size_t>(pixel) * most; }
    int64_t first() const { return starts.front(); }
    int64_t end() const { return starts.back() + counts.back(); }
};

// Pixels `start` to `start + count` of an axis of `size` pixels that becomes `wanted` long.
Taps taps_of(Filter filter, int64_t size, int64_t wanted, int64_t start, int64_t count) {
    double (*shape)(double) = filter == Filter::Bilinear ? bilinear : filter == Filter::Bicubic ? bicubic : lanczos;
    double reach = filter == Filter::Bilinear ? 1.0 : filter == Filter::Bicubic ? 2.0 : 3.0;
    double scale = static_cast<double>(size) / static_cast<double>(wanted), stretch = std::max(scale, 1.0);
    double support = reach * stretch, unit = 1.0 / stretch;
    Taps taps;
    taps.most = static_cast<size_t>(std::ceil(support)) * 2 + 1;
    taps.weights.assign(taps.most * static_cast<size_t>(count), 0);
    std::vector<double> values(taps.most);
    for (int64_t i = 0; i < count; ++i) {
        double centre = (static_cast<double>(start + i) + 0.5) * scale, total = 0.0;
        int64_t begin = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
        int64_t end = std::min(size, static_cast<int64_t>(centre + support + 0.5));
        for (int64_t place = begin; place < end; ++place) {
            double value = shape((static_cast<double>(place) - centre + 0.5) * unit);
            values[static_cast<size_t>(place - begin)] = value;
            total += value;
        }
        int32_t *weights = taps.weights.data() + static_cast<size_t>(i) * taps.most;
        for (int64_t k = 0; k < end - begin; ++k) {
            double value = values[static_cast<size_t>(k)];
            if (total != 0.0) value /= total;
            weights[k] = static_cast<int32_t>(value * (1 << PRECISION_BITS) + (value < 0 ? -0.5 : 0.5));
        }
        taps.starts.push_back(begin);
        taps.counts.push_back(end - begin);
    }
    return taps;
}

constexpr int32_t HALF = 1 << (PRECISION_BITS - 1);

uint8_t clipped(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> PRECISION_BITS, 0, 255)); }

// Along the rows, of source rows `first` to `end`.
template <int CHANNELS> Picture across(const Picture &picture, const Taps &taps, int64_t first, int64_t end) {
    Picture found(static_cast<int64_t>(taps.starts.size()), end - first, CHANNELS);
    for (int64_t y = first; y < end; ++y) {
        uint8_t *out = found.row(y - first);
        for (int64_t x = 0; x < found.width; ++x) {
            const uint8_t *in = picture.row(y) + taps.starts[static_cast<size_t>(x)] * CHANNELS;
            const int32_t *weights = taps.of(x);
            int32_t sums[CHANNELS];
            std::fill(sums, sums + CHANNELS, HALF);
            for (int64_t k = taps.counts[static_cast<size_t>(x)]; k; --k, ++weights) {
                for (int c = 0; c < CHANNELS; ++c) sums[c] += *in++ * *weights;
            }
            for (int c = 0; c < CHANNELS; ++c) *out++ = clipped(sums[c]);
        }
    }
    return found;
}

// Along the columns; row 0 of `picture` is row `first` of the source.
Picture down(const Picture &picture, const Taps &taps, int64_t first) {
    Picture found(picture.width, static_cast<int64_t>(taps.starts.size()), picture.channels);
    size_t bytes = picture.row_bytes();
    std::vector<int32_t> sums(bytes);
    for (int64_t y = 0; y < found.height; ++y) {
        std::fill(sums.begin(), sums.end(), HALF);
        for (int64_t k = 0; k < taps.counts[static_cast<size_t>(y)]; ++k) {
            const uint8_t *in = picture.row(taps.starts[static_cast<size_t>(y)] + k - first);
            int32_t weight = taps.of(y)[k];
            for (size_t i = 0; i < bytes; ++i) sums[i] += in[i] * weight;
        }
        uint8_t *out = found.row(y);
        for (size_t i = 0; i < bytes; ++i) out[i] = clipped(sums[i]);
    }
    return found;
}

Picture along_rows(const Picture &picture, const Taps &taps, int64_t first, int64_t end) {
    return picture.channels == 1 ? across<1>(picture, taps, first, end) : across<3>(picture, taps, first, end);
}

Picture cut(const Picture &picture, const Area &area) {
    Picture found(area.width, area.height, picture.channels);
    for (int64_t y = 0; y < area.height; ++y) {
        std::memcpy(found.row(y), picture.row(area.top + y) + area.left * picture.channels, found.row_bytes());
    }
    return found;
}

// Pillow 13's order: along the columns first where the height shrinks, by more than twice what the width does.
bool columns_come_first(const Picture &picture, int64_t width, int64_t height) {
    int64_t less_width = picture.width - width, less_height = picture.height - height;
    return less_height > 0 && less_height > 2 * less_width;
}

Picture by_filter(const Picture &picture, int64_t width, int64_t height, Filter filter, const Area &window) {
    if (width == picture.width) { // one axis alone
        Taps taps = taps_of(filter, picture.height, height, window.top, window.height);
        Area strip{window.left, taps.first(), window.width, taps.end() - taps.first()};
        return down(cut(picture, strip), taps, taps.first());
    }
    Taps x_taps = taps_of(filter, picture.width, width, window.left, window.width);
    if (height == picture.height) return along_rows(picture, x_taps, window.top, window.top + window.height);
    Taps y_taps = taps_of(filter, picture.height, height, window.top, window.height);
    if (!columns_come_first(picture, width, height)) {
        return down(along_rows(picture, x_taps, y_taps.first(), y_taps.end()), y_taps, y_taps.first());
    }
    Picture found = down(picture, y_taps, 0);
    return along_rows(found, x_taps, 0, found.height);
}

// Pillow's: places are added up in float64 (`ImagingScaleAffine`).
std::vector<int64_t> nearest_places(int64_t size, int64_t wanted) {
    std::vector<int64_t> places;
    double step = static_cast<double>(size) / static_cast<double>(wanted), place = step * 0.5;
    for (int64_t i = 0; i < wanted; ++i, place += step) places.push_back(static_cast<int64_t>(place));
    return places;
}

Picture by_nearest(const Picture &picture, int64_t width, int64_t height, const Area &window) {
    std::vector<int64_t> xs = nearest_places(picture.width, width), ys = nearest_places(picture.height, height);
    Picture found(window.width, window.height, picture.channels);
    for (int64_t y = 0; y < window.height; ++y) {
        uint8_t *out = found.row(y);
        int64_t from = ys[static_cast<size_t>(window.top + y)];
        for (int64_t x = 0; x < window.width; ++x) {
            int64_t place = xs[static_cast<size_t>(window.left + x)];
            for (int c = 0; c < picture.channels; ++c) { // a place that rounding put behind the end is black
                bool inside = place < picture.width && from < picture.height;
                *out++ = inside ? picture.row(from)[place * picture.channels + c] : 0;
            }
        }
    }
    return found;
}

} // namespace

Picture resized(const Picture &picture, int64_t width, int64_t height, Filter filter, const Area &window) {
    if (picture.width == width && picture.height == height) return cut(picture, window);
    if (filter == Filter::OpencvLinear) return by_opencv(picture, width, height, window);
    if (filter == Filter::Nearest) return by_nearest(picture, width, height, window);
    return by_filter(picture, width, height, filter, window);
}

} // namespace ob
