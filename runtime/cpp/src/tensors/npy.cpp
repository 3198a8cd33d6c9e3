// One array as numpy writes it: a magic, a header that is a Python dictionary, and the numbers.
#include <algorithm>
#include <cstring>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "tensors/npz.h"

namespace ob {

namespace {

const std::string_view MAGIC("\x93NUMPY", 6);
constexpr size_t MAX_HEADER_BYTES = 10000; // numpy's own limit

struct Header {
    ovenbird_dtype dtype = OVENBIRD_FLOAT32;
    bool swapped = false, by_columns = false;
    Shape shape;
};

// The dictionary of three fields that numpy writes; anything else is refused.
class HeaderParser {
  public:
    explicit HeaderParser(std::string_view text) : text_(text) {}

    bool parse(Header &header) {
        bool seen[3] = {};
        if (!take("{")) return false;
        while (!take("}")) {
            std::string name, descr;
            int which = !string(name)             ? -1
                        : name == "descr"         ? 0
                        : name == "fortran_order" ? 1
                        : name == "shape"         ? 2
                                                  : -1;
            if (which < 0 || seen[which] || !take(":")) return false;
            seen[which] = true;
            if (which == 0 && (!string(descr) || !dtype(descr, header))) return false;
            if (which == 1) {
                header.by_columns = take("True");
                if (!header.by_columns && !take("False")) return false;
            }
            if (which == 2 && !shape(header.shape)) return false;
            if (!take(",") && !ahead("}")) return false;
        }
        skip();
        return place_ == text_.size() && seen[0] && seen[1] && seen[2];
    }

  private:
    void skip() {
        while (place_ < text_.size() && (text_[place_] == ' ' || text_[place_] == '\n')) ++place_;
    }

    bool ahead(std::string_view word) {
        skip();
        return text_.substr(place_, word.size()) == word;
    }

    bool take(std::string_view word) {
        if (!ahead(word)) return false;
        place_ += word.size();
        return true;
    }

    bool string(std::string &out) {
        skip();
        char mark = place_ < text_.size() ? text_[place_] : '\0';
        if (mark != '\'' && mark != '"') return false;
        size_t end = text_.find(mark, place_ + 1);
        if (end == text_.npos) return false;
        out = text_.substr(place_ + 1, end - place_ - 1);
        place_ = end + 1;
        return out.find('\\') == out.npos;
    }

    bool shape(Shape &out) {
        if (!take("(")) return false;
        while (!take(")")) {
            skip();
            size_t start = place_;
            int64_t value = 0;
            for (; place_ < text_.size() && text_[place_] >= '0' && text_[place_] <= '9'; ++place_) {
                if (place_ - start >= 18) return false;
                value = value * 10 + (text_[place_] - '0');
            }
            if (place_ == start || out.size() >= static_cast<size_t>(MAX_RANK)) return false;
            out.push_back(value);
            if (!take(",") && !ahead(")")) return false;
        }
        return true;
    }

    static bool dtype(const std::string &descr, Header &header) {
        static const std::pair<const char *, ovenbird_dtype> known[] = {
            {"f4", OVENBIRD_FLOAT32}, {"f2", OVENBIRD_FLOAT16}, {"f8", OVENBIRD_FLOAT64}, {"i1", OVENBIRD_INT8},
            {"i2", OVENBIRD_INT16},   {"i4", OVENBIRD_INT32},   {"i8", OVENBIRD_INT64},   {"u1", OVENBIRD_UINT8},
            {"u2", OVENBIRD_UINT16},  {"u4", OVENBIRD_UINT32},  {"u8", OVENBIRD_UINT64},  {"b1", OVENBIRD_BOOL},
        };
        if (descr.size() != 3 || std::string("<>|=").find(descr[0]) == std::string::npos) return false;
        header.swapped = descr[0] == '>';
        for (const auto &[text, dtype] : known) {
            if (descr.compare(1, 2, text) == 0) {
                header.dtype = dtype;
                return true;
            }
        }
        return false;
    }

    std::string_view text_;
    size_t place_ = 0;
};

// From the first dimension innermost to the last.
std::string in_rows(const std::string &data, const Shape &shape, size_t item) {
    std::string out(data.size(), '\0');
    std::vector<size_t> index(shape.size(), 0);
    std::vector<size_t> strides(shape.size(), item);
    for (size_t d = 1; d < shape.size(); ++d) strides[d] = strides[d - 1] * static_cast<size_t>(shape[d - 1]);
    for (size_t to = 0; to < out.size(); to += item) {
        size_t from = 0;
        for (size_t d = 0; d < shape.size(); ++d) from += index[d] * strides[d];
        std::memcpy(&out[to], &data[from], item);
        for (size_t d = shape.size(); d-- > 0 && ++index[d] == static_cast<size_t>(shape[d]);) index[d] = 0;
    }
    return out;
}

} // namespace

ovenbird_tensor NamedTensor::view() const {
    ovenbird_tensor tensor{name.c_str(), dtype, static_cast<int32_t>(shape.size()), {}, data.data(), data.size()};
    std::copy(shape.begin(), shape.end(), tensor.shape);
    return tensor;
}

NamedTensor read_npy(std::string_view data, const std::string &name, const std::string &file, ovenbird_status status) {
    auto refuse = [&](const auto &...why) { fail(status, file, " cannot be read: ", shown(name), " ", why...); };
    auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(data[at])); };
    if (data.size() < 12 || data.substr(0, 6) != MAGIC) refuse("is no array");
    size_t version = byte(6), start = version == 1 ? 10 : 12;
    size_t length = byte(8) | byte(9) << 8;
    if (version == 2) length |= byte(10) << 16 | byte(11) << 24;
    if ((version != 1 && version != 2) || byte(7) != 0 || length > MAX_HEADER_BYTES || length > data.size() - start) {
        refuse("is no array");
    }
    Header header;
    if (!HeaderParser(data.substr(start, length)).parse(header)) refuse("holds no numbers that are known here");
    NamedTensor tensor{name, header.dtype, header.shape, {}};
    size_t item = static_cast<size_t>(info(header.dtype).bytes);
    int64_t size = product(header.shape, info(header.dtype).bytes), room = product(header.shape, 1, true);
    if (size < 0 || room < 0) refuse("has a shape that is too large: ", cut(shape_text(header.shape)));
    if (static_cast<uint64_t>(size) != data.size() - start - length) {
        refuse("says that it holds ", size, " bytes of numbers, and does not");
    }
    tensor.data = data.substr(start + length);
    if (header.swapped) {
        for (size_t i = 0; i < tensor.data.size(); i += item) {
            std::reverse(tensor.data.begin() + static_cast<long>(i), tensor.data.begin() + static_cast<long>(i + item));
        }
    }
    if (header.by_columns && header.shape.size() > 1) tensor.data = in_rows(tensor.data, header.shape, item);
    return tensor;
}

} // namespace ob
