// From a path or a file's bytes to pixels; sizes are checked before anything is decoded.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "pictures/jpeg.h"
#include "pictures/orientation.h"
#include "pictures/picture.h"
#include "pictures/png.h"

namespace ob {

namespace {

// A path's last part, for messages.
std::string one_name(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return shown(path.substr(path.rfind('/') + 1));
}

void check_bytes(int64_t bytes, const std::string &name) {
    if (bytes <= MAX_IMAGE_FILE_BYTES) return;
    fail(OVENBIRD_IMAGE_TOO_LARGE, name, " has ", format("%.1f", static_cast<double>(bytes) / 1e6), " MB, limit ",
         format("%.1f", static_cast<double>(MAX_IMAGE_FILE_BYTES) / 1e6), " MB");
}

// A plain file, its size checked first: no pipe, no /dev/zero.
std::string read_file(const char *path, const std::string &name) {
    File file(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (file.descriptor() < 0) fail(OVENBIRD_IMAGE_NOT_FOUND, name, " cannot be read: ", reason(errno));
    struct stat state;
    if (fstat(file.descriptor(), &state) != 0 || !S_ISREG(state.st_mode)) {
        fail(OVENBIRD_IMAGE_NOT_FOUND, name, " is not a plain file");
    }
    check_bytes(state.st_size, name);
    try {
        return file.read_up_to(MAX_IMAGE_FILE_BYTES, name);
    } catch (const Error &error) {
        fail(OVENBIRD_IMAGE_NOT_FOUND, error.message);
    }
}

// What the Python runtime reads and this one does not.
const char *other_format(std::string_view data) {
    if (data.substr(0, 6) == "GIF87a" || data.substr(0, 6) == "GIF89a") return "GIF";
    if (data.substr(0, 4) == "RIFF" && data.size() > 12 && data.substr(8, 4) == "WEBP") return "WEBP";
    return data.substr(0, 2) == "BM" ? "BMP" : nullptr;
}

Picture decode(std::string_view data, const std::string &name, double max_megapixels) {
    if (is_jpeg(data)) {
        check_scans(data, name);
        Metadata metadata = metadata_of(data);
        return turned(decode_jpeg(data, name, max_megapixels), orientation_in(metadata.exif, metadata.xmp));
    }
    if (is_png(data)) {
        check_chunks(data, name);
        PngFile file = read_chunks(data, name, max_megapixels);
        return turned(decode_png(file, name), orientation_in(file.exif, file.xmp));
    }
    if (const char *format = other_format(data)) {
        fail(OVENBIRD_IMAGE_UNREADABLE, name, " is a ", format,
             ", and this runtime reads JPEG and PNG: convert it, or use ovenbird-rt");
    }
    fail(OVENBIRD_IMAGE_UNREADABLE, name, " is no image in a known format (JPEG, PNG)");
}

} // namespace

void check_pixels(int64_t width, int64_t height, const std::string &name, double max_megapixels) {
    if (width < 1 || height < 1) {
        fail(OVENBIRD_IMAGE_UNREADABLE, name, " is ", width, "x", height, ": it has no pixels");
    }
    double pixels = static_cast<double>(width) * static_cast<double>(height);
    if (pixels > max_megapixels * 1e6) {
        fail(OVENBIRD_IMAGE_TOO_LARGE, name, " is ", width, "x", height, ", ", format("%.1f", pixels / 1e6),
             " MP, limit ", format("%.1f", max_megapixels), " MP (--max-megapixels)");
    }
}

Picture open_picture(const PictureSource &source, double max_megapixels) {
    std::string read, name = "the image";
    std::string_view data(static_cast<const char *>(source.data), source.bytes);
    if (source.path) {
        name = one_name(source.path);
        read = read_file(source.path, name);
        data = read;
    }
    check_bytes(static_cast<int64_t>(data.size()), name);
    return decode(data, name, max_megapixels);
}

} // namespace ob
