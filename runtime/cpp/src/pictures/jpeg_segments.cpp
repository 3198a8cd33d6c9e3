// The segments of a JPEG file (ITU-T T.81, B.1.1), read without decoding any.
#include <algorithm>
#include <cstring>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "pictures/jpeg.h"

namespace ob {

namespace {

constexpr std::string_view START = "\xff\xd8\xff", EXIF_HEAD("Exif\0\0", 6),
                           XMP_HEAD("http://ns.adobe.com/xap/1.0/\0", 29);
constexpr unsigned TEMPORARY = 0x01, END = 0xd9, SCAN = 0xda, APP1 = 0xe1;

bool is_restart(unsigned code) { return code >= 0xd0 && code <= 0xd7; }

// Each marker up to the picture's end, as decoders skip through them.
class Segments {
  public:
    explicit Segments(std::string_view data) : data_(data), place_(START.size() - 1) {}

    unsigned code = 0;
    size_t start = 0, end = 0;

    bool next() {
        if (code == END) return false;
        while (true) {
            size_t found = data_.find('\xff', place_);
            if (found == data_.npos || found + 1 >= data_.size()) return false;
            unsigned mark = byte(found + 1);
            place_ = found + 1;
            if (mark == 0 || mark == 0xff) continue;
            if (scanning_ && is_restart(mark)) continue; // of which there may be millions
            code = mark;
            start = found;
            break;
        }
        end = start + 2;
        if (!is_restart(code) && code != TEMPORARY && code != END) {
            size_t left = data_.size() - end;
            size_t length = left >= 2 ? byte(end) << 8 | byte(end + 1) : left == 1 ? byte(end) : 0;
            end += std::max<size_t>(2, length);
        }
        place_ = std::min(end, data_.size());
        scanning_ = scanning_ || code == SCAN;
        return true;
    }

  private:
    unsigned byte(size_t at) const { return static_cast<unsigned char>(data_[at]); }

    std::string_view data_;
    size_t place_;
    bool scanning_ = false;
};

} // namespace

bool is_jpeg(std::string_view data) { return data.substr(0, START.size()) == START; }

void check_scans(std::string_view data, const std::string &name) {
    uint64_t scans = 0, others = 0, place = 0;
    for (Segments segments(data); segments.next(); place = segments.end) {
        if (!scans) others += segments.start - place; // bytes between segments
        ++(segments.code == SCAN ? scans : others);
        if (scans > static_cast<uint64_t>(MAX_JPEG_SCANS) || others > static_cast<uint64_t>(MAX_JPEG_SEGMENTS)) {
            fail(OVENBIRD_IMAGE_TOO_LARGE, name, " has more than ", MAX_JPEG_SCANS, " scans or ", MAX_JPEG_SEGMENTS,
                 " other segments, the limits: save it as a plain (baseline) JPEG");
        }
    }
}

void check_frame(std::string_view data, const std::string &name, double max_megapixels) {
    for (Segments segments(data); segments.next() && segments.code != SCAN;) {
        bool frame = segments.code >= 0xc0 && segments.code <= 0xcf && segments.code != 0xc4 && segments.code != 0xc8 &&
                     segments.code != 0xcc;
        if (!frame || segments.start + 9 > data.size()) continue;
        auto whole = [&](size_t at) {
            auto byte = [&](size_t i) {
                return static_cast<int64_t>(static_cast<unsigned char>(data[segments.start + i]));
            };
            return byte(at) << 8 | byte(at + 1);
        };
        check_pixels(whole(7), whole(5), name, max_megapixels);
        return;
    }
}

Metadata metadata_of(std::string_view data) {
    Metadata found;
    for (Segments segments(data); segments.next() && segments.code != SCAN;) {
        if (segments.code != APP1 || segments.start + 4 > data.size()) continue;
        std::string_view body = data.substr(segments.start + 4);
        bool exif = body.substr(0, EXIF_HEAD.size()) == EXIF_HEAD, xmp = body.substr(0, XMP_HEAD.size()) == XMP_HEAD;
        body = body.substr(0, segments.end > segments.start + 4 ? segments.end - segments.start - 4 : 0);
        if (exif && found.exif.empty()) {
            found.exif = body;
        } else if (xmp && found.xmp.empty()) {
            found.xmp = body;
        }
    }
    return found;
}

} // namespace ob
