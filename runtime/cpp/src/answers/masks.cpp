#include "answers/masks.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ob {

namespace {

constexpr float THRESHOLD = 0.5f;

// Which pixels of an axis the grown box covers, and its own first and count of pixels.
struct Ends {
    int64_t low, high, first, count;
};

Ends ends_of(double start, double end, int64_t side, int64_t limit) {
    static constexpr double far = 1099511627776.0; // beyond any photograph; whole numbers of that size are exact
    double wide = static_cast<double>(side + 2), middle = (start + end) * 0.5;
    double half = (end - start) * 0.5 * wide / static_cast<double>(side);
    auto whole = [](double edge) { return static_cast<int64_t>(std::min(std::max(edge, -far), far)); };
    int64_t first = whole(middle - half), last = whole(middle + half);
    int64_t low = std::min(std::max<int64_t>(first, 0), limit);
    int64_t high = std::max<int64_t>(std::min(last + 1, limit), 0);
    return {low, std::max(high, low), first, std::max<int64_t>(last - first + 1, 1)};
}

// For each of those pixels the two cells of the padded grid that it lies between, and the second one's share.
struct Cell {
    size_t before, after;
    float share;
};

std::vector<Cell> cells_of(const Ends &ends, int64_t side) {
    std::vector<Cell> cells;
    double scale = static_cast<double>(side + 2) / static_cast<double>(ends.count);
    for (int64_t place = ends.low; place < ends.high; ++place) {
        double centre = std::max((static_cast<double>(place - ends.first) + 0.5) * scale - 0.5, 0.0);
        int64_t before = std::min(static_cast<int64_t>(centre), side + 1);
        cells.push_back({static_cast<size_t>(before), static_cast<size_t>(std::min(before + 1, side + 1)),
                         static_cast<float>(centre - static_cast<double>(before))});
    }
    return cells;
}

// COCO's text of run lengths (`rleToString`): from the fourth on less the one two before, 5 bits a character.
std::string encode_runs(const std::vector<int64_t> &runs) {
    std::string text;
    for (size_t place = 0; place < runs.size(); ++place) {
        int64_t value = place > 2 ? runs[place] - runs[place - 2] : runs[place];
        for (bool more = true; more;) {
            int64_t bits = value & 0x1f;
            value >>= 5;
            more = bits & 0x10 ? value != -1 : value != 0;
            text.push_back(static_cast<char>((more ? bits | 0x20 : bits) + 48));
        }
    }
    return text;
}

} // namespace

int64_t Mask::covered() const {
    Ends across = ends_of(box[0], box[2], side, original[0]), down = ends_of(box[1], box[3], side, original[1]);
    return (across.high - across.low) * (down.high - down.low);
}

Json Mask::rle() const {
    size_t wide = static_cast<size_t>(side) + 2;
    std::vector<float> padded(wide * wide, 0.0f); // a border of zeros
    for (int64_t y = 0; y < side; ++y) {
        for (int64_t x = 0; x < side; ++x) {
            float value = grid[y * side + x];
            if (std::isnan(value)) value = 0.0f;
            if (std::isinf(value)) value = value > 0 ? 1.0f : 0.0f;
            padded[static_cast<size_t>(y + 1) * wide + static_cast<size_t>(x + 1)] = value;
        }
    }
    Ends x_ends = ends_of(box[0], box[2], side, original[0]), y_ends = ends_of(box[1], box[3], side, original[1]);
    std::vector<Cell> columns = cells_of(x_ends, side), rows = cells_of(y_ends, side);
    std::vector<int64_t> runs{0}; // of pixels in columns, the first not the object's
    bool inside = false;
    auto run = [&](bool pixel, int64_t count) {
        if (count == 0) return;
        if (pixel != inside) runs.push_back(0);
        inside = pixel;
        runs.back() += count;
    };
    int64_t width = original[0], height = original[1];
    run(false, x_ends.low * height);
    for (const Cell &column : columns) {
        run(false, y_ends.low);
        for (const Cell &row : rows) {
            const float *upper = padded.data() + row.before * wide, *lower = padded.data() + row.after * wide;
            float left = upper[column.before] * (1 - row.share) + lower[column.before] * row.share;
            float right = upper[column.after] * (1 - row.share) + lower[column.after] * row.share;
            run(left * (1 - column.share) + right * column.share > THRESHOLD, 1);
        }
        run(false, height - y_ends.high);
    }
    run(false, (width - x_ends.high) * height);
    JsonObject found;
    found.add("size", json_list({json_of(height), json_of(width)}));
    return found.add("counts", encode_runs(runs)).done();
}

} // namespace ob
