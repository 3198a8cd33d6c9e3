// ovenbird-pictures CASES: what conformance/pictures and conformance/pipelines say of each case, a line each: width,
// height and the digest of the pixels; or of the network's input its shape, digest and place; or the error.
#include <cstdio>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/text.h"
#include "pipeline/apply.h"
#include "lines.h"

namespace {

std::string pixels_line(const ob::Picture &picture) {
    return ob::str(picture.width, "x", picture.height, " ",
                   ob::sha256_hex(picture.pixels.data(), picture.pixels.bytes()));
}

std::string input_line(const ob::Prepared &found) {
    const ob::Frame &frame = found.frame;
    return ob::str(ob::shape_text(found.shape), " ", ob::sha256_hex(found.data.data(), found.data.bytes()), " ",
                   ob::repr(frame.scale[0]), " ", ob::repr(frame.scale[1]), " ", ob::repr(frame.offset[0]), " ",
                   ob::repr(frame.offset[1]));
}

std::string line_of(const ob::Json &value, const std::string &folder) {
    std::string file = value.find("file")->text;
    if (file.compare(0, 1, "/") != 0) file = folder + file;
    ob::Picture picture = ob::open_picture({file.c_str(), nullptr, 0}, ob::MAX_IMAGE_MEGAPIXELS);
    const ob::Json *steps = value.find("steps"), *seed = value.find("seed"), *index = value.find("index");
    if (!steps) return pixels_line(picture);
    ob::Pipeline pipeline = ob::read_pipeline(ob::Value(*steps, "steps"));
    return input_line(ob::prepare(pipeline, std::move(picture), seed ? static_cast<uint64_t>(seed->integer) : 0,
                                  index ? static_cast<uint64_t>(index->integer) : 0));
}

} // namespace

int main(int count, char **words) { return print_lines(count, words, line_of); }
