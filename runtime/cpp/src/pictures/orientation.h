// How a picture lies, as its metadata say: the EXIF orientation, or the one in XMP
// (`ovenbird_runtime/preprocess/orientation.py`). A damaged block spoils no pixels, so it counts as none.
#pragma once

#include <string>
#include <string_view>

namespace ob {

// 1 to 8; 1 where neither block says it.
int orientation_in(std::string_view exif, std::string_view xmp);

// EXIF as ImageMagick writes it into a PNG: a name, a length, and lines of digits; empty where it is damaged.
std::string exif_of_text(std::string_view text);

} // namespace ob
