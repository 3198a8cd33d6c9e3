// The pixels of a PNG file: unpacked, unfiltered (section 9), each pass put in its place (8.2), laid over white.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/errors.h"
#include "base/text.h"
#include "pictures/png.h"
#include "tensors/inflate.h"

namespace ob {

namespace {

enum Colours { GREY = 0, COLOUR = 2, PALETTE = 3, GREY_ALPHA = 4, COLOUR_ALPHA = 6 };

struct Pass {
    int64_t left, top, across, down; // the first pixel, and the steps between two
};
constexpr Pass ADAM7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                          {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
constexpr Pass WHOLE[] = {{0, 0, 1, 1}};

uint8_t nearest(int left, int above, int corner) { // Paeth's predictor (9.4)
    int guess = left + above - corner;
    int to_left = std::abs(guess - left), to_above = std::abs(guess - above), to_corner = std::abs(guess - corner);
    if (to_left <= to_above && to_left <= to_corner) return static_cast<uint8_t>(left);
    return static_cast<uint8_t>(to_above <= to_corner ? above : corner);
}

// Undoes a row's filter; `above` is the row before, zeros for the first. False for an unknown filter.
bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t bytes, size_t pixel) {
    auto add = [](uint8_t &to, int value) { to = static_cast<uint8_t>(to + value); };
    switch (filter) {
    case 0: return true;
    case 1:
        for (size_t i = pixel; i < bytes; ++i) add(row[i], row[i - pixel]);
        return true;
    case 2:
        for (size_t i = 0; i < bytes; ++i) add(row[i], above[i]);
        return true;
    case 3:
        for (size_t i = 0; i < bytes; ++i) add(row[i], ((i < pixel ? 0 : row[i - pixel]) + above[i]) / 2);
        return true;
    case 4:
        for (size_t i = 0; i < bytes; ++i) {
            add(row[i], i < pixel ? above[i] : nearest(row[i - pixel], above[i], above[i - pixel]));
        }
        return true;
    default: return false;
    }
}

// Samples to red, green and blue over white.
class Painter {
  public:
    explicit Painter(const PngHead &head) : depth_(head.depth), colours_(head.colours) {
        auto two = [&](size_t at) {
            auto byte = [&](size_t i) {
                return static_cast<unsigned>(static_cast<unsigned char>(head.transparent[i]));
            };
            return byte(at) << 8 | byte(at + 1);
        };
        unsigned mask = (1u << depth_) - 1;
        if (head.has_transparent && colours_ == GREY) {
            nothing_[0] = depth_ == 1 ? (two(0) != 0) : two(0) & mask;
        } else if (head.has_transparent && colours_ == COLOUR) {
            for (size_t c = 0; c < 3; ++c) nothing_[c] = two(2 * c) & mask;
        }
        has_nothing_ = head.has_transparent && (colours_ == GREY || colours_ == COLOUR);
        if (colours_ == PALETTE) read_palette(head);
    }

    int channels() const {
        return colours_ == COLOUR ? 3 : colours_ == GREY_ALPHA ? 2 : colours_ == COLOUR_ALPHA ? 4 : 1;
    }

    // `count` pixels of a row, `step` apart in `out`.
    void paint(const uint8_t *row, int64_t count, uint8_t *out, int64_t step) const {
        int many = channels();
        for (int64_t i = 0; i < count; ++i, out += 3 * step) {
            unsigned sample[4] = {};
            for (int c = 0; c < many; ++c) sample[c] = sample_at(row, i * many + c);
            put(sample, out);
        }
    }

  private:
    void read_palette(const PngHead &head) {
        for (size_t i = 0; i < 256; ++i) { // a number behind the palette's end is black, as Pillow has it
            unsigned alpha = i < head.transparent.size() ? static_cast<unsigned char>(head.transparent[i]) : 255u;
            for (size_t c = 0; c < 3; ++c) {
                bool known = i < head.palette.size() / 3;
                palette_[i][c] = over_white(known ? static_cast<uint8_t>(head.palette[3 * i + c]) : 0u, alpha);
            }
        }
    }

    unsigned sample_at(const uint8_t *row, int64_t place) const {
        if (depth_ == 8) return row[place];
        if (depth_ == 16) return static_cast<unsigned>(row[2 * place] << 8 | row[2 * place + 1]);
        int64_t bit = place * depth_;
        return row[bit / 8] >> (8 - depth_ - bit % 8) & ((1u << depth_) - 1);
    }

    // A sample as 8 bits, to the nearest.
    uint8_t scaled(unsigned sample) const {
        if (depth_ == 16) return static_cast<uint8_t>((sample + 128) / 257);
        return static_cast<uint8_t>(sample * 255 / ((1u << depth_) - 1));
    }

    void put(const unsigned *sample, uint8_t *out) const {
        if (colours_ == PALETTE) {
            std::copy(palette_[sample[0]].begin(), palette_[sample[0]].end(), out);
            return;
        }
        bool coloured = colours_ == COLOUR || colours_ == COLOUR_ALPHA;
        bool absent = has_nothing_ && sample[0] == nothing_[0];
        if (absent && coloured) absent = sample[1] == nothing_[1] && sample[2] == nothing_[2];
        bool covers = colours_ == GREY || colours_ == COLOUR;
        unsigned alpha = absent ? 0 : covers ? 255 : scaled(sample[coloured ? 3 : 1]);
        for (int c = 0; c < 3; ++c) out[c] = over_white(scaled(sample[coloured ? c : 0]), alpha);
    }

    int depth_, colours_;
    bool has_nothing_ = false;
    std::array<unsigned, 3> nothing_{};
    std::array<std::array<uint8_t, 3>, 256> palette_{};
};

void check(const PngHead &head, const std::string &name) {
    size_t least = head.colours == GREY ? 2 : head.colours == COLOUR ? 6 : 0;
    if (head.has_transparent && head.transparent.size() < least)
        refuse_image(name, "its transparent colour is cut off");
    if (head.colours == PALETTE && (head.palette.size() < 3 || head.palette.size() > 768)) {
        refuse_image(name, "it has no palette of 1 to 256 colours");
    }
}

} // namespace

Picture decode_png(const PngFile &file, const std::string &name) {
    const PngHead &head = file.head;
    check(head, name);
    Painter painter(head);
    auto row_bytes = [&](int64_t pixels) {
        return static_cast<size_t>((pixels * painter.channels() * head.depth + 7) / 8);
    };
    auto count = [](int64_t size, int64_t first, int64_t step) {
        return size > first ? (size - first + step - 1) / step : 0;
    };
    const Pass *passes = head.interlaced ? ADAM7 : WHOLE, *end = passes + (head.interlaced ? 7 : 1);
    size_t total = 0;
    for (const Pass *pass = passes; pass != end; ++pass) {
        int64_t wide = count(head.width, pass->left, pass->across), high = count(head.height, pass->top, pass->down);
        if (wide && high) total += static_cast<size_t>(high) * (1 + row_bytes(wide));
    }
    std::string data;
    bool good = file.packed.size() > 2 && inflate_up_to(std::string_view(file.packed).substr(2), total, data);
    if (data.size() < total) refuse_image(name, good ? "image file is truncated" : "its pixels are damaged");
    Picture picture(head.width, head.height, 3);
    uint8_t *row = reinterpret_cast<uint8_t *>(data.data());
    size_t pixel = std::max<size_t>(1, static_cast<size_t>(painter.channels() * head.depth) / 8);
    std::string zeros(row_bytes(head.width), '\0');
    for (const Pass *pass = passes; pass != end; ++pass) {
        int64_t wide = count(head.width, pass->left, pass->across), high = count(head.height, pass->top, pass->down);
        size_t bytes = row_bytes(wide);
        const uint8_t *above = reinterpret_cast<const uint8_t *>(zeros.data());
        for (int64_t y = 0; wide && y < high; ++y) {
            int filter = *row++;
            if (!unfilter(filter, row, above, bytes, pixel)) refuse_image(name, "its pixels are damaged");
            painter.paint(row, wide, picture.row(pass->top + y * pass->down) + 3 * pass->left, pass->across);
            above = row;
            row += bytes;
        }
    }
    return picture;
}

} // namespace ob
