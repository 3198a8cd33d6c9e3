#include "pictures/picture.h"

#include <utility>

namespace ob {

Picture::Picture(int64_t w, int64_t h, int c)
    : width(w), height(h), channels(c),
      pixels(static_cast<size_t>(w) * static_cast<size_t>(h) * static_cast<size_t>(c)) {}

Picture turned(Picture picture, int orientation) {
    if (orientation < 2 || orientation > 8) return picture;
    bool lying = orientation >= 5;
    int64_t width = picture.width, height = picture.height;
    Picture found(lying ? height : width, lying ? width : height, picture.channels);
    // Where a step to the right, and one down, goes in the source, and where the first pixel lies.
    bool mirrored = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool flipped = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int64_t across = mirrored ? -picture.channels : picture.channels;
    int64_t down = static_cast<int64_t>(picture.row_bytes()) * (flipped ? -1 : 1);
    const uint8_t *first = picture.row(flipped ? height - 1 : 0) + (mirrored ? (width - 1) * picture.channels : 0);
    if (lying) std::swap(across, down);
    for (int64_t y = 0; y < found.height; ++y) {
        uint8_t *out = found.row(y);
        const uint8_t *in = first + y * down;
        for (int64_t x = 0; x < found.width; ++x, in += across) {
            for (int c = 0; c < picture.channels; ++c) *out++ = in[c];
        }
    }
    return found;
}

Picture grey(const Picture &picture) {
    Picture found(picture.width, picture.height, 1);
    const uint8_t *in = picture.pixels.data();
    for (size_t i = 0; i < found.pixels.bytes(); ++i, in += 3) {
        found.pixels.data()[i] = static_cast<uint8_t>((in[0] * 19595 + in[1] * 38470 + in[2] * 7471 + 0x8000) >> 16);
    }
    return found;
}

} // namespace ob
