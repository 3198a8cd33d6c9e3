// JPEG files (ITU-T T.81): refused where they would take an hour, decoded by libjpeg-turbo as Pillow uses it
// (`ovenbird_runtime/preprocess/jpeg.py`).
#pragma once

#include <string>
#include <string_view>

#include "pictures/picture.h"

namespace ob {

bool is_jpeg(std::string_view data);

// Refuses a file of more scans, or of more other segments, than any honest one has. Throws ImageTooLarge.
void check_scans(std::string_view data, const std::string &name);

// Refuses a picture beyond the limit by its frame's header (B.2.2). Throws ImageTooLarge, ImageUnreadable.
void check_frame(std::string_view data, const std::string &name, double max_megapixels);

// What it holds of EXIF and XMP before the picture, each empty where there is none: the first segment.
struct Metadata {
    std::string_view exif, xmp;
};
Metadata metadata_of(std::string_view data);

// As it lies in the file, RGB. Throws ImageUnreadable, and what `check_frame` throws.
Picture decode_jpeg(std::string_view data, const std::string &name, double max_megapixels);

} // namespace ob
