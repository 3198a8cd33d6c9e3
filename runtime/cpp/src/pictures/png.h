// PNG files (W3C, Portable Network Graphics): refused where they are a flood of chunks, decoded to RGB.
//
// Written by hand: libpng with zlib would be half as large as all of this runtime, and `inflate` is here already. What
// counts is what Pillow makes of a file, with `ovenbird_runtime/preprocess/png.py` around it.
#pragma once

#include <string>
#include <string_view>

#include "pictures/picture.h"

namespace ob {

bool is_png(std::string_view data);

// Refuses a file of more chunks than any honest one has. Throws ImageTooLarge.
void check_chunks(std::string_view data, const std::string &name);

struct PngHead {
    int64_t width = 0, height = 0;
    int depth = 0, colours = -1; // bits of a sample; the type of colour
    bool interlaced = false;
    std::string_view palette, transparent; // the chunks' bodies, empty where there is none
    bool has_transparent = false;
};

struct PngFile {
    PngHead head;
    std::string packed; // all pixels, as zlib wrote them
    std::string exif, xmp;
};

// Throws ImageUnreadable, ImageTooLarge: the size is checked before anything is unpacked.
PngFile read_chunks(std::string_view data, const std::string &name, double max_megapixels);

// As it lies in the file, over white. Throws ImageUnreadable.
Picture decode_png(const PngFile &file, const std::string &name);

} // namespace ob
