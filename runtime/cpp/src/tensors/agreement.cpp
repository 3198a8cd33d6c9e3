#include "tensors/agreement.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "base/sort.h"
#include "base/text.h"
#include "tensors/convert.h"

namespace ob {

namespace {

constexpr double ROUNDING = 1e-6, QUIET = 0.1, NOTHING = 1e-6;
constexpr double STEPS = 20;

struct Array {
    std::vector<double> values;
    Shape shape; // of two dimensions at least
    size_t rows() const { return static_cast<size_t>(shape[0]); }
    size_t row_size() const { return values.size() / rows(); }
};

Array array_of(const NamedTensor &tensor) {
    Array array{{}, tensor.shape};
    size_t count = tensor.data.size() / static_cast<size_t>(info(tensor.dtype).bytes);
    for (size_t i = 0; i < count; ++i) array.values.push_back(number_at(tensor.dtype, tensor.data.data(), i));
    if (array.shape.size() == 1) array.shape.push_back(1);
    return array;
}

// The lower median, which is one of the values.
double lower_median(std::vector<double> values) {
    if (values.empty()) return 0.0;
    auto middle = values.begin() + static_cast<long>((values.size() - 1) / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

double median(std::vector<double> values) {
    if (values.empty()) return 0.0;
    sort(values);
    size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The groups of an axis: which one each element belongs to, and their root mean squares.
struct Groups {
    size_t inner = 1, count = 1;
    Groups(const Shape &shape, size_t axis) : count(static_cast<size_t>(shape[axis])) {
        for (size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
    }
    size_t of(size_t place) const { return place / inner % count; }

    std::vector<double> rms(const std::vector<double> &values, const std::vector<char> &finite) const {
        std::vector<double> sums(count, 0.0), counts(count, 0.0);
        for (size_t i = 0; i < values.size(); ++i) {
            sums[of(i)] += values[i] * values[i];
            counts[of(i)] += finite[i];
        }
        for (size_t g = 0; g < count; ++g) sums[g] = std::sqrt(sums[g] / std::max(1.0, counts[g]));
        return sums;
    }
};

// What each number's error is divided by; `blind` where the right answers do not depend on the input.
std::vector<double> scales_of(const Array &right, const std::vector<char> &finite, const Limits &limits, bool &blind) {
    size_t rows = right.rows(), size = right.row_size();
    bool several = rows > 1, moves = false;
    std::vector<double> moved(right.values.size());
    std::vector<double> all;
    for (size_t i = 0; i < right.values.size() && !several; ++i) {
        if (finite[i]) all.push_back(right.values[i]);
    }
    double one_centre = several ? 0.0 : median(std::move(all));
    for (size_t place = 0; place < size; ++place) {
        double sum = 0, count = 0;
        for (size_t row = 0; row < rows; ++row) {
            sum += right.values[row * size + place];
            count += finite[row * size + place];
        }
        double centre = several ? sum / std::max(1.0, count) : one_centre;
        for (size_t row = 0; row < rows; ++row) {
            size_t i = row * size + place;
            moved[i] = finite[i] ? right.values[i] - centre : 0.0;
        }
    }
    std::vector<double> each;
    for (size_t axis : std::set<size_t>{1, right.shape.size() - 1}) {
        Groups groups(right.shape, axis);
        std::vector<double> spread = groups.rms(moved, finite), extent = groups.rms(right.values, finite);
        std::vector<double> scale(groups.count), moving_spread, moving_extent, still_spread, still_extent, extents;
        for (double one : extent) {
            if (one > 0) extents.push_back(one);
        }
        double usual = lower_median(std::move(extents));
        for (size_t g = 0; g < groups.count; ++g) {
            if (!several) spread[g] = std::min(spread[g], extent[g]);
            scale[g] = std::max(spread[g], limits.offset * extent[g]);
            if (spread[g] > ROUNDING * std::max(extent[g], usual)) {
                moving_spread.push_back(spread[g]);
                moving_extent.push_back(extent[g]);
            } else if (extent[g] > 0) {
                still_spread.push_back(spread[g]);
                still_extent.push_back(extent[g]);
            }
        }
        moves = moves || !moving_spread.empty();
        auto &alike_spread = moving_spread.empty() ? still_spread : moving_spread;
        auto &alike_extent = moving_spread.empty() ? still_extent : moving_extent;
        if (!alike_spread.empty()) { // what a channel's siblings are like, it was summed from as well
            double largest = *std::max_element(alike_spread.begin(), alike_spread.end());
            double typical = std::max(QUIET * lower_median(alike_spread), limits.offset * lower_median(alike_extent));
            for (double &one : scale) one = std::max(one, std::max(typical, ROUNDING * largest));
        }
        if (each.empty()) each.assign(right.values.size(), HUGE_VAL);
        for (size_t i = 0; i < each.size(); ++i) each[i] = std::min(each[i], scale[groups.of(i)]);
    }
    for (double &one : each) one = one > 0 ? one : NOTHING / limits.peak;
    for (size_t row = 0; row < rows; ++row) { // a row that moves more than others is held to as much more, a number
                                              // to a share of itself at least
        double sum = 0, count = 0;
        for (size_t i = row * size; i < (row + 1) * size; ++i) {
            sum += moved[i] / each[i] * (moved[i] / each[i]);
            count += finite[i];
        }
        double loud = std::max(1.0, std::sqrt(sum / std::max(1.0, count)));
        for (size_t i = row * size; i < (row + 1) * size; ++i) {
            each[i] = std::max(each[i] * loud, limits.offset * std::fabs(right.values[i]));
        }
    }
    blind = several && !moves;
    return each;
}

Difference compare_numbers(Array given, Array right, const Limits &limits, bool &blind) {
    std::vector<char> finite(right.values.size());
    for (size_t i = 0; i < finite.size(); ++i) {
        double &one = given.values[i], &two = right.values[i];
        finite[i] = std::isfinite(two);
        bool same = finite[i] ? std::isfinite(one) : one == two || (std::isnan(one) && std::isnan(two));
        if (!same) return {0, 0, 0, 0, "is not finite where the reference is, or the other way round"};
        if (!finite[i]) one = two = 0.0;
    }
    double unit = 0; // so that no square leaves float64's range
    for (double value : right.values) unit = std::max(unit, std::fabs(value));
    unit = unit > 0 ? unit : 1.0;
    for (double &value : right.values) value /= unit;
    std::vector<double> scales = scales_of(right, finite, limits, blind);
    Difference found;
    double sum = 0, count = 0;
    for (size_t i = 0; i < scales.size(); ++i) {
        double gap = std::fabs(given.values[i] / unit - right.values[i]), error = gap / scales[i];
        found.max_abs = std::max(found.max_abs, gap * unit);
        found.peak = std::max(found.peak, error);
        sum += error * error;
        count += finite[i];
    }
    found.rms = std::sqrt(sum / std::max(1.0, count));
    auto judge = [&](const char *what, double value, double limit) {
        if (value <= limit || !found.fault.empty()) return;
        found.fault = str("is off by ", format("%.3g", value), " of its own spread (", what, "), limit ",
                          format("%.3g", limit), "; largest error ", format("%.3g", found.max_abs));
    };
    judge("rms", found.rms, limits.rms);
    judge("peak", found.peak, limits.peak);
    return found;
}

Difference compare_whole(const NamedTensor &given, const NamedTensor &right, const Limits &limits) {
    size_t item = static_cast<size_t>(info(right.dtype).bytes), count = right.data.size() / item, wrong = 0;
    double largest = 0;
    for (size_t i = 0; i < count; ++i) {
        if (std::memcmp(&given.data[i * item], &right.data[i * item], item) == 0) continue;
        ++wrong;
        double one = number_at(given.dtype, given.data.data(), i), two = number_at(right.dtype, right.data.data(), i);
        largest = std::max(largest, std::fabs(one - two));
    }
    char kind = info(right.dtype).kind;
    bool levels = item == 1 && (kind == 'i' || kind == 'u') && largest <= 1;
    double allowed = limits.mismatches * (levels ? STEPS : 1), all = static_cast<double>(count);
    Difference found{largest, 0, 0, static_cast<double>(wrong) / all, ""};
    if (static_cast<double>(wrong) > allowed * all) {
        found.fault =
            str("differs in ", wrong, " of ", count, " numbers, limit ", format("%.3g", std::min(allowed, 1.0)),
                " of them; largest difference ", format("%.3g", largest));
    }
    return found;
}

bool repeats(const NamedTensor &tensor) {
    size_t rows = static_cast<size_t>(tensor.shape[0]), bytes = tensor.data.size() / rows;
    for (size_t row = 1; row < rows; ++row) {
        if (std::memcmp(&tensor.data[0], &tensor.data[row * bytes], bytes) != 0) return false;
    }
    return true;
}

} // namespace

Difference compare(const NamedTensor &given, const NamedTensor &right, const Limits &limits) {
    auto text = [](const NamedTensor &tensor) {
        std::string shape = shape_text(tensor.shape);
        if (tensor.shape.size() == 1) shape.erase(shape.size() - 2, 1); // a list has no comma behind its only item
        return str(info(tensor.dtype).name, "[", shape.substr(1, shape.size() - 2), "]");
    };
    if (given.shape != right.shape || given.dtype != right.dtype) {
        return {0, 0, 0, 0, str("is ", text(given), ", expected ", text(right))};
    }
    if (right.data.empty()) return {};
    bool floating = info(right.dtype).kind == 'f', blind = !floating && repeats(right);
    Difference found = floating ? compare_numbers(array_of(given), array_of(right), limits, blind)
                                : compare_whole(given, right, limits);
    bool finished = found.fault.compare(0, 13, "is not finite") == 0;
    if (!finished && right.shape[0] > 1 && !blind && repeats(given) && !repeats(right)) {
        found.fault = str("is the same for ", right.shape[0], " different inputs, the reference is not");
    }
    return found;
}

} // namespace ob
