// Decoding by libjpeg-turbo with Pillow's settings, which are the library's own: slow integer DCT, fancy upsampling.
// CMYK is taken as Adobe writes it, inverted, and becomes RGB as Pillow has it.
//
// The library ends in errors by longjmp: each call that may is made by a function that holds nothing to be destroyed.
#include "pictures/jpeg.h"

#include "base/errors.h"
#include "base/text.h"

#if defined(OVENBIRD_JPEG)

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

namespace ob {

namespace {

struct Errors {
    jpeg_error_mgr base;
    std::jmp_buf back;
    char why[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
    Errors *errors = reinterpret_cast<Errors *>(info->err);
    info->err->format_message(info, errors->why);
    std::longjmp(errors->back, 1);
}

void ignore(j_common_ptr) {} // warnings are no errors: Pillow takes what it gets, too
void ignore_level(j_common_ptr, int) {}
void nothing(j_decompress_ptr) {}

// All bytes are there from the start: where they end, decoding stops.
boolean no_more(j_decompress_ptr) { return FALSE; }

void skip(j_decompress_ptr info, long count) {
    if (count <= 0) return;
    size_t step = std::min(static_cast<size_t>(count), info->src->bytes_in_buffer);
    info->src->next_input_byte += step;
    info->src->bytes_in_buffer -= step;
}

class Decoder {
  public:
    explicit Decoder(std::string_view data) {
        info_.err = jpeg_std_error(&errors_.base);
        errors_.base.error_exit = leave;
        errors_.base.output_message = ignore;
        errors_.base.emit_message = ignore_level;
        errors_.why[0] = '\0';
        if (!create()) return;
        source_.init_source = nothing;
        source_.fill_input_buffer = no_more;
        source_.skip_input_data = skip;
        source_.resync_to_restart = jpeg_resync_to_restart;
        source_.term_source = nothing;
        source_.next_input_byte = reinterpret_cast<const JOCTET *>(data.data());
        source_.bytes_in_buffer = data.size();
        info_.src = &source_;
    }
    ~Decoder() { jpeg_destroy_decompress(&info_); }
    Decoder(const Decoder &) = delete;
    Decoder &operator=(const Decoder &) = delete;

    bool read_header() {
        if (setjmp(errors_.back)) return false;
        return jpeg_read_header(&info_, TRUE) == JPEG_HEADER_OK;
    }
    bool start(J_COLOR_SPACE colours) {
        if (setjmp(errors_.back)) return false;
        info_.out_color_space = colours;
        return jpeg_start_decompress(&info_);
    }
    bool read_row(uint8_t *row) {
        if (setjmp(errors_.back)) return false;
        JSAMPROW rows[] = {row};
        return jpeg_read_scanlines(&info_, rows, 1) == 1;
    }
    const jpeg_decompress_struct &info() const { return info_; }
    std::string why() const { return errors_.why[0] ? errors_.why : "image file is truncated"; }

  private:
    bool create() {
        if (setjmp(errors_.back)) return false;
        jpeg_create_decompress(&info_);
        return true;
    }

    jpeg_decompress_struct info_{};
    Errors errors_;
    jpeg_source_mgr source_{};
};

// Pillow's: inks are subtracted from what black leaves.
void cmyk_to_rgb(const uint8_t *in, uint8_t *out, int64_t width) {
    for (int64_t x = 0; x < width; ++x, in += 4, out += 3) {
        int left = in[3]; // 255 less black, which is inverted
        for (int c = 0; c < 3; ++c) {
            int product = (255 - in[c]) * left + 128;
            out[c] = static_cast<uint8_t>(left - ((((product) >> 8) + product) >> 8));
        }
    }
}

} // namespace

Picture decode_jpeg(std::string_view data, const std::string &name, double max_megapixels) {
    check_frame(data, name, max_megapixels);
    Decoder decoder(data);
    if (!decoder.read_header()) refuse_image(name, decoder.why());
    int64_t width = decoder.info().image_width, height = decoder.info().image_height;
    int layers = decoder.info().num_components;
    check_pixels(width, height, name, max_megapixels);
    if (layers != 1 && layers != 3 && layers != 4) refuse_image(name, "cannot handle ", layers, "-layer images");
    if (!decoder.start(layers == 1 ? JCS_GRAYSCALE : layers == 3 ? JCS_RGB : JCS_CMYK))
        refuse_image(name, decoder.why());
    Picture picture(width, height, 3);
    AlignedBytes other(layers == 3 ? 0 : static_cast<size_t>(width * layers));
    for (int64_t y = 0; y < height; ++y) {
        uint8_t *row = picture.row(y);
        if (!decoder.read_row(layers == 3 ? row : other.data())) refuse_image(name, decoder.why());
        if (layers == 4) cmyk_to_rgb(other.data(), row, width);
        for (int64_t x = 0; layers == 1 && x < width; ++x)
            row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = other.data()[x];
    }
    return picture;
}

} // namespace ob

#else

namespace ob {

Picture decode_jpeg(std::string_view, const std::string &name, double) {
    fail(OVENBIRD_IMAGE_UNREADABLE, name, " is a JPEG, and this runtime was built without it: -DOVENBIRD_JPEG=ON");
}

} // namespace ob

#endif
