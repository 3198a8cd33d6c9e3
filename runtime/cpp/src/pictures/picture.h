// An image in memory: rows of red, green and blue, or of grey, a byte each.
//
//     Picture picture = open_picture("photo.jpg", MAX_IMAGE_MEGAPIXELS);        // upright, RGB
//     picture.row(0)[3]                                                         // red of the second pixel
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/errors.h"
#include "tensors/inputs.h"

namespace ob {

struct Picture {
    int64_t width = 0, height = 0;
    int channels = 3;
    AlignedBytes pixels;

    Picture() = default;
    // Pixels are not set.
    Picture(int64_t width, int64_t height, int channels);

    size_t row_bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
    uint8_t *row(int64_t y) { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
    const uint8_t *row(int64_t y) const { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
};

// An image file as a caller has it: a path, or its bytes.
struct PictureSource {
    const char *path = nullptr;
    const void *data = nullptr;
    size_t bytes = 0;
};

// Decodes a file; transparent pixels are laid over white, 16 bits a channel become 8, EXIF orientation is applied,
// colour profiles are not (`ovenbird_runtime/preprocess/images.py`). Throws ImageNotFound, ImageTooLarge,
// ImageUnreadable.
Picture open_picture(const PictureSource &source, double max_megapixels);

// Refuses a file whose content is not what its format asks for.
template <typename... Parts> [[noreturn]] void refuse_image(const std::string &name, const Parts &...why) {
    fail(OVENBIRD_IMAGE_UNREADABLE, name, " cannot be read as an image: ", why...);
}

// Refuses a size beyond the limit, or an empty one. Throws ImageTooLarge, ImageUnreadable.
void check_pixels(int64_t width, int64_t height, const std::string &name, double max_megapixels);

// The picture as EXIF's orientation 2 to 8 says it is to be seen; any other leaves it.
Picture turned(Picture picture, int orientation);

// One channel, the luma of ITU-R BT.601 in whole numbers, as Pillow's convert("L").
Picture grey(const Picture &picture);

// A channel of a colour that covers `alpha` of 255, over white: Pillow's rounding.
inline uint8_t over_white(uint32_t value, uint32_t alpha) {
    uint32_t sum = 255 * (255 - alpha) + value * alpha + 128;
    return static_cast<uint8_t>(((sum >> 8) + sum) >> 8);
}

} // namespace ob
