#include "tensors/npz.h"

#include <algorithm>

#include "base/errors.h"
#include "base/sort.h"
#include "base/text.h"
#include "tensors/crc32.h"
#include "tensors/inflate.h"

namespace ob {

namespace {

constexpr uint64_t MAX_DIRECTORY_BYTES = 1 << 20;
constexpr uint16_t STORED = 0, DEFLATED = 8;

uint64_t number(std::string_view data, uint64_t at, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(data[at + i]);
    return value;
}

void put(std::string &out, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

struct Member {
    std::string name;
    uint64_t flags, method, crc, packed, size, at;
};

class Archive {
  public:
    Archive(std::string_view data, const std::string &file, ovenbird_status status)
        : data_(data), file_(file), status_(status) {}

    template <typename... Parts> [[noreturn]] void refuse(const Parts &...why) const {
        fail(status_, file_, " cannot be read as .npz: ", why...);
    }

    std::vector<Member> members() const {
        constexpr uint64_t END_BYTES = 22, HEAD_BYTES = 46;
        size_t end = data_.size() < END_BYTES ? data_.npos : data_.rfind(std::string_view("PK\5\6", 4));
        if (end == data_.npos || data_.size() - end < END_BYTES) refuse("BadZipFile: File is not a zip file");
        uint64_t bytes = number(data_, end + 12, 4), at = number(data_, end + 16, 4);
        if (bytes > MAX_DIRECTORY_BYTES) refuse("its directory takes more than ", MAX_DIRECTORY_BYTES, " bytes");
        if (at > end || bytes > end - at) refuse("its directory is cut off");
        std::vector<Member> found;
        for (uint64_t place = at; place < at + bytes;) {
            if (at + bytes - place < HEAD_BYTES || number(data_, place, 4) != 0x02014b50)
                refuse("its directory is damaged");
            uint64_t name = number(data_, place + 28, 2), extra = number(data_, place + 30, 2);
            uint64_t whole = HEAD_BYTES + name + extra + number(data_, place + 32, 2);
            if (whole > at + bytes - place) refuse("its directory is damaged");
            Member member{std::string(data_.substr(place + HEAD_BYTES, name)),
                          number(data_, place + 8, 2),
                          number(data_, place + 10, 2),
                          number(data_, place + 16, 4),
                          number(data_, place + 20, 4),
                          number(data_, place + 24, 4),
                          number(data_, place + 42, 4)};
            widen(member, data_.substr(place + HEAD_BYTES + name, extra));
            found.push_back(std::move(member));
            place += whole;
        }
        return found;
    }

    std::string unpack(const Member &member, const std::string &name) const {
        constexpr uint64_t LOCAL_BYTES = 30;
        if (member.at > data_.size() || data_.size() - member.at < LOCAL_BYTES ||
            number(data_, member.at, 4) != 0x04034b50) {
            refuse(str(shown(name), " is not where the directory says"));
        }
        uint64_t start = member.at + LOCAL_BYTES + number(data_, member.at + 26, 2) + number(data_, member.at + 28, 2);
        if (start > data_.size() || member.packed > data_.size() - start) refuse(str(shown(name), " is cut off"));
        std::string_view packed = data_.substr(start, member.packed);
        std::string out;
        if (member.method == STORED) {
            if (member.packed != member.size) refuse(str(shown(name), " has two sizes"));
            out = packed;
        } else if (!inflate(packed, member.size, out)) {
            refuse(str(shown(name), " is damaged"));
        }
        if (crc32(out) != member.crc) refuse(str(shown(name), " is damaged: its checksum is another"));
        return out;
    }

  private:
    // Sizes beyond 32 bits are in a field of their own (zip64): numpy always writes it.
    void widen(Member &member, std::string_view extra) const {
        for (uint64_t at = 0; at + 4 <= extra.size();) {
            uint64_t kind = number(extra, at, 2), bytes = number(extra, at + 2, 2), place = at + 4;
            if (bytes > extra.size() - place) refuse("its directory is damaged");
            at = place + bytes;
            if (kind != 1) continue;
            for (uint64_t *value : {&member.size, &member.packed, &member.at}) {
                if (*value != 0xffffffffu) continue;
                if (at - place < 8) refuse("its directory is damaged");
                *value = number(extra, place, 8);
                place += 8;
            }
        }
    }

    std::string_view data_;
    const std::string &file_;
    ovenbird_status status_;
};

} // namespace

std::vector<NamedTensor> read_npz(std::string_view data, const std::string &file, int64_t limit,
                                  ovenbird_status status) {
    Archive archive(data, file, status);
    std::vector<Member> members = archive.members();
    uint64_t total = 0;
    for (const Member &member : members) {
        total += std::min<uint64_t>(member.size, uint64_t{1} << 40);
        if (total > static_cast<uint64_t>(limit)) archive.refuse("it unpacks to ", total, " bytes, limit ", limit);
    }
    std::vector<NamedTensor> tensors;
    for (const Member &member : members) {
        std::string name = member.name;
        if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0) name.resize(name.size() - 4);
        for (const NamedTensor &known : tensors) {
            if (known.name == name) archive.refuse("it holds ", shown(name), " twice");
        }
        if ((member.method != STORED && member.method != DEFLATED) || (member.flags & 1)) {
            archive.refuse(str(shown(name), " is packed in another way than numpy's"));
        }
        tensors.push_back(read_npy(archive.unpack(member, name), name, file, status));
    }
    return tensors;
}

std::string npz_bytes(std::vector<NamedTensor> tensors) {
    sort(tensors, [](const auto &one, const auto &two) { return one.name < two.name; });
    std::string out, directory;
    for (const NamedTensor &tensor : tensors) {
        static const char *codes[] = {"<f4", "<f2", "<f8", "|i1", "<i2", "<i4",
                                      "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"};
        std::string head = str("{'descr': '", codes[tensor.dtype],
                               "', 'fortran_order': False, 'shape': ", shape_text(tensor.shape), ", }");
        // Room for the first dimension to grow, as numpy leaves it; then whole lines of 64 bytes.
        if (!tensor.shape.empty()) head.append(21 - std::to_string(tensor.shape[0]).size(), ' ');
        head.append(64 - (11 + head.size()) % 64, ' ');
        head += '\n';
        std::string member("\x93NUMPY\1\0", 8);
        put(member, head.size(), 2);
        member += head + tensor.data;
        std::string name = tensor.name + ".npy", common;
        uint64_t at = out.size(), crc = crc32(member);
        put(common, 20, 2); // version
        put(common, 0, 2);  // flags
        put(common, STORED, 2);
        put(common, 0, 2);  // midnight
        put(common, 33, 2); // 1 January 1980
        put(common, crc, 4);
        put(common, member.size(), 4);
        put(common, member.size(), 4);
        put(common, name.size(), 2);
        put(common, 0, 2);
        out += std::string("PK\3\4", 4) + common + name + member;
        directory += std::string("PK\1\2", 4);
        put(directory, 0x0314, 2); // made under Unix
        directory += common;
        put(directory, 0, 2); // no comment
        put(directory, 0, 2);
        put(directory, 0, 2);
        put(directory, uint64_t{0600} << 16, 4);
        put(directory, at, 4);
        directory += name;
    }
    uint64_t at = out.size();
    if (at + directory.size() >= 0xffffffffu || tensors.size() >= 0xffff) {
        fail(OVENBIRD_OUTPUT_NOT_WRITTEN, "tensors of ", at, " bytes do not fit into one .npz file, limit 4 GiB");
    }
    out += directory + std::string("PK\5\6\0\0\0\0", 8);
    put(out, tensors.size(), 2);
    put(out, tensors.size(), 2);
    put(out, directory.size(), 4);
    put(out, at, 4);
    put(out, 0, 2);
    return out;
}

} // namespace ob
