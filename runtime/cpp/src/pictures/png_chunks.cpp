// The chunks of a PNG file: its header, palette and pixels, and what says how the picture lies.
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "pictures/orientation.h"
#include "pictures/png.h"
#include "tensors/crc32.h"
#include "tensors/inflate.h"

namespace ob {

namespace {

constexpr std::string_view SIGNATURE("\x89PNG\r\n\x1a\n", 8);
constexpr size_t AROUND_BYTES = 12; // of a chunk: length, name, checksum

uint32_t whole(std::string_view data, size_t place) {
    uint32_t value = 0;
    for (size_t i = place; i < place + 4 && i < data.size(); ++i)
        value = value << 8 | static_cast<unsigned char>(data[i]);
    return value;
}

bool is_kind(std::string_view kind) {
    for (char c : kind) {
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z', digit = c >= '0' && c <= '9';
        if (!letter && !digit && c != '_') return false;
    }
    return kind.size() == 4;
}

void read_head(PngHead &head, std::string_view body, const std::string &name) {
    if (body.size() < 13) refuse_image(name, "its header is cut off");
    head.width = whole(body, 0);
    head.height = whole(body, 4);
    head.depth = static_cast<unsigned char>(body[8]);
    head.colours = static_cast<unsigned char>(body[9]);
    head.interlaced = body[12] != 0;
    if (body[11] != 0) refuse_image(name, "its filters are unknown");
}

// Depths that go with a type of colour (table 11.1).
bool is_known(const PngHead &head) {
    int depth = head.depth;
    switch (head.colours) {
    case 0: return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case 3: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case 2:
    case 4:
    case 6: return depth == 8 || depth == 16;
    default: return false;
    }
}

// Takes what follows up to a zero byte.
std::string_view take_text(std::string_view &body) {
    size_t end = body.find('\0');
    std::string_view found = body.substr(0, end);
    body = end == body.npos ? std::string_view() : body.substr(end + 1);
    return found;
}

// The text of a chunk and its key; false where it is none, or damaged.
bool read_text_chunk(std::string_view kind, std::string_view body, std::string_view &key, std::string &text) {
    bool packed = kind == "zTXt";
    key = take_text(body);
    if (kind == "zTXt") {
        if (body.empty() || body[0] != 0) return false;
        body.remove_prefix(1);
    } else if (kind == "iTXt") {
        if (body.size() < 2) return false;
        packed = body[0] != 0;
        if (packed && body[1] != 0) return false;
        body.remove_prefix(2);
        take_text(body); // the language
        take_text(body); // the key in it
    } else if (kind != "tEXt") {
        return false;
    }
    size_t limit = static_cast<size_t>(MAX_EXIF_TEXT_CHARS) + 1; // longer ones count as none
    if (packed) return body.size() > 2 && inflate_up_to(body.substr(2), limit, text);
    text = body.substr(0, limit);
    return true;
}

// What chunks say of how the picture lies, each the last of its name.
class Notes {
  public:
    void take(std::string_view kind, std::string_view body) {
        if (kind == "eXIf") {
            exif_ = body;
            return;
        }
        std::string_view key;
        std::string text;
        if (!read_text_chunk(kind, body, key, text)) return;
        if (key == "Raw profile type exif") raw_ = text;
        if (key == "xmp" || (key == "XML:com.adobe.xmp" && kind == "iTXt")) xmp_ = text;
        if (key == "XML:com.adobe.xmp") adobe_ = text;
    }
    std::string exif() const { return exif_.empty() ? exif_of_text(raw_) : exif_; }
    std::string xmp() const { return xmp_.empty() ? adobe_ : xmp_; }

  private:
    std::string exif_, raw_, xmp_, adobe_;
};

} // namespace

bool is_png(std::string_view data) { return data.substr(0, SIGNATURE.size()) == SIGNATURE; }

void check_chunks(std::string_view data, const std::string &name) {
    int64_t pixels = 0, others = 0, profiles = 0;
    for (size_t place = SIGNATURE.size(); place + 8 <= data.size();) {
        std::string_view kind = data.substr(place + 4, 4);
        if (kind == "IEND") return;
        if (kind == "IDAT" || kind == "fdAT") {
            ++pixels;
        } else {
            ++others;
            profiles += kind == "iCCP";
        }
        if (pixels > MAX_PNG_DATA_CHUNKS || others > MAX_PNG_CHUNKS || profiles > 1) {
            fail(OVENBIRD_IMAGE_TOO_LARGE, name, " has more than ", MAX_PNG_DATA_CHUNKS, " chunks of data, ",
                 MAX_PNG_CHUNKS, " others or one colour profile, the limits: save it again as a plain PNG");
        }
        place += AROUND_BYTES + whole(data, place);
    }
}

PngFile read_chunks(std::string_view data, const std::string &name, double max_megapixels) {
    PngFile file;
    Notes notes;
    bool pixels = false, behind = false; // among the pixels' chunks, and behind them
    for (size_t place = SIGNATURE.size(); place + 8 <= data.size();) {
        std::string_view kind = data.substr(place + 4, 4);
        size_t length = whole(data, place);
        if (!is_kind(kind)) {
            if (pixels) break;
            refuse_image(name, "a chunk has no name");
        }
        bool whole_chunk = length <= data.size() - place - 8;
        std::string_view body = data.substr(place + 8, length);
        if (kind == "IEND") break;
        if (kind == "IDAT" && !behind) {
            if (!pixels) {
                if (!is_known(file.head)) refuse_image(name, "its type of colour is unknown");
                check_pixels(file.head.width, file.head.height, name, max_megapixels);
            }
            pixels = true;
            file.packed.append(body);
        } else if (!pixels) {
            if (!whole_chunk || place + 8 + length + 4 > data.size()) refuse_image(name, "image file is truncated");
            if (crc32(data.substr(place + 4, 4 + length)) != whole(data, place + 8 + length)) {
                refuse_image(name, "broken PNG file (bad checksum in ", quoted(kind), ")");
            }
            if (kind == "IHDR") read_head(file.head, body, name);
            if (kind == "PLTE" && file.head.colours == 3) file.head.palette = body;
            if (kind == "tRNS") {
                file.head.transparent = body;
                file.head.has_transparent = true;
            }
            notes.take(kind, body);
        } else {
            behind = true;
            if (!whole_chunk) break;
            notes.take(kind, body);
        }
        place += AROUND_BYTES + length;
    }
    if (!pixels) refuse_image(name, "it has no pixels");
    file.exif = notes.exif();
    file.xmp = notes.xmp();
    return file;
}

} // namespace ob
