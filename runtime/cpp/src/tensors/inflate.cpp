#include "tensors/inflate.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace ob {

namespace {

constexpr unsigned TABLE_BITS = 10, MOST_BITS = 15;

// A canonical Huffman code: how many codes there are of each length, their symbols in order, and a table of the short
// ones by the bits as they stand in the stream, the first one lowest: symbol * 16 + length, 0 for longer codes.
struct Code {
    std::array<uint16_t, MOST_BITS + 1> counts{};
    std::array<uint16_t, 288> symbols{};
    std::array<uint16_t, 1 << TABLE_BITS> table{};

    // False where lengths ask for more codes than there are. Once a block, and of five places.
    [[gnu::noinline]] bool build(const uint8_t *lengths, size_t count) {
        counts.fill(0);
        table.fill(0);
        for (size_t i = 0; i < count; ++i) ++counts[lengths[i]];
        int left = 1;
        for (size_t length = 1; length <= MOST_BITS; ++length) {
            left = 2 * left - counts[length];
            if (left < 0) return false;
        }
        std::array<uint16_t, MOST_BITS + 1> places{};
        std::array<uint32_t, MOST_BITS + 1> codes{};
        for (size_t length = 1; length < MOST_BITS; ++length) {
            places[length + 1] = static_cast<uint16_t>(places[length] + counts[length]);
            codes[length + 1] = (codes[length] + counts[length]) << 1;
        }
        for (size_t i = 0; i < count; ++i) {
            unsigned length = lengths[i];
            if (!length) continue;
            symbols[places[length]++] = static_cast<uint16_t>(i);
            uint32_t code = codes[length]++, turned = 0;
            if (length > TABLE_BITS) continue;
            for (unsigned bit = 0; bit < length; ++bit) turned |= (code >> bit & 1) << (length - 1 - bit);
            for (; turned < table.size(); turned += 1u << length)
                table[turned] = static_cast<uint16_t>(i << 4 | length);
        }
        return true;
    }
};

constexpr uint16_t LENGTHS[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                  31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr uint8_t LENGTH_BITS[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                     2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
constexpr uint16_t DISTANCES[30] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                    33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                    1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
constexpr uint8_t DISTANCE_BITS[30] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                       6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

class Inflater {
  public:
    // `cut`: what is behind `limit` bytes is not looked at; else it is a fault.
    Inflater(std::string_view data, size_t limit, bool cut, std::string &out)
        : data_(data), limit_(limit), cut_(cut), out_(out) {}

    bool run() {
        bool last = false;
        while (!last && !bad_ && !done()) {
            last = bits(1);
            switch (bits(2)) {
            case 0: stored(); break;
            case 1: fixed(); break;
            case 2: dynamic(); break;
            default: bad_ = true;
            }
        }
        return !bad_;
    }

  private:
    bool done() const { return cut_ && out_.size() >= limit_; }

    // How many of `length` bytes there is room for.
    size_t room(size_t length) {
        size_t left = limit_ - out_.size();
        if (length > left && !cut_) bad_ = true;
        return std::min(length, left);
    }

    void refill() {
        for (; held_ <= 56 && place_ < data_.size(); held_ += 8) {
            word_ |= uint64_t{static_cast<unsigned char>(data_[place_++])} << held_;
        }
    }

    void drop(unsigned count) {
        word_ >>= count;
        held_ -= count;
    }

    uint32_t bits(unsigned count) {
        if (held_ < count) refill();
        if (held_ < count) {
            bad_ = true;
            return 0;
        }
        uint32_t value = static_cast<uint32_t>(word_ & ((uint64_t{1} << count) - 1));
        drop(count);
        return value;
    }

    unsigned symbol(const Code &code) {
        if (held_ < MOST_BITS) refill();
        unsigned entry = code.table[word_ & (code.table.size() - 1)];
        if (entry && (entry & 15) <= held_) {
            drop(entry & 15);
            return entry >> 4;
        }
        int value = 0, first = 0, index = 0;
        for (size_t length = 1; length <= MOST_BITS && !bad_; ++length) {
            value |= static_cast<int>(bits(1));
            int count = code.counts[length];
            if (value - count < first) return code.symbols[static_cast<size_t>(index + value - first)];
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        bad_ = true;
        return 0;
    }

    void stored() {
        place_ -= held_ / 8; // whole bytes that were read ahead
        word_ = 0;
        held_ = 0;
        if (data_.size() - place_ < 4) {
            bad_ = true;
            return;
        }
        auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(data_[place_ + at])); };
        size_t length = byte(0) | byte(1) << 8;
        bad_ = length != (~(byte(2) | byte(3) << 8) & 0xffff) || length > data_.size() - place_ - 4;
        if (bad_) return;
        out_.append(data_.substr(place_ + 4, room(length)));
        place_ += 4 + length;
    }

    void fixed() {
        uint8_t lengths[288];
        for (int i = 0; i < 288; ++i) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
        Code letters, distances;
        letters.build(lengths, 288);
        for (int i = 0; i < 30; ++i) lengths[i] = 5;
        distances.build(lengths, 30);
        block(letters, distances);
    }

    void dynamic() {
        static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
        size_t letter_count = bits(5) + 257, distance_count = bits(5) + 1, code_count = bits(4) + 4;
        uint8_t lengths[320] = {};
        if (letter_count > 286 || distance_count > 30) bad_ = true;
        for (size_t i = 0; i < code_count && !bad_; ++i) lengths[order[i]] = static_cast<uint8_t>(bits(3));
        Code codes, letters, distances;
        if (bad_ || !codes.build(lengths, 19)) {
            bad_ = true;
            return;
        }
        size_t total = letter_count + distance_count;
        uint8_t found[320] = {};
        for (size_t i = 0; i < total && !bad_;) {
            unsigned one = symbol(codes);
            if (one < 16) {
                found[i++] = static_cast<uint8_t>(one);
                continue;
            }
            uint8_t value = one == 16 && i ? found[i - 1] : 0;
            size_t times = one == 16 ? 3 + bits(2) : one == 17 ? 3 + bits(3) : 11 + bits(7);
            if ((one == 16 && i == 0) || times > total - i) bad_ = true;
            for (; times && !bad_; --times) found[i++] = value;
        }
        if (bad_ || found[256] == 0 || !letters.build(found, letter_count) ||
            !distances.build(found + letter_count, distance_count)) {
            bad_ = true;
            return;
        }
        block(letters, distances);
    }

    void block(const Code &letters, const Code &distances) {
        while (!bad_ && !done()) {
            unsigned one = symbol(letters);
            if (bad_ || one == 256) return;
            if (one < 256) {
                if (room(1)) out_.push_back(static_cast<char>(one));
                continue;
            }
            if ((one -= 257) >= 29) bad_ = true;
            if (bad_) return;
            size_t length = LENGTHS[one] + bits(LENGTH_BITS[one]);
            unsigned which = symbol(distances);
            if (which >= 30) bad_ = true;
            if (bad_) return;
            size_t distance = DISTANCES[which] + bits(DISTANCE_BITS[which]);
            bad_ = bad_ || distance > out_.size();
            if (bad_) return;
            for (size_t left = room(length); left; --left) out_.push_back(out_[out_.size() - distance]);
        }
    }

    std::string_view data_;
    size_t limit_;
    bool cut_;
    std::string &out_;
    size_t place_ = 0;
    uint64_t word_ = 0;
    unsigned held_ = 0;
    bool bad_ = false;
};

} // namespace

bool inflate(std::string_view data, size_t size, std::string &out) {
    out.clear();
    return Inflater(data, size, false, out).run() && out.size() == size;
}

bool inflate_up_to(std::string_view data, size_t limit, std::string &out) {
    out.clear();
    return Inflater(data, limit, true, out).run();
}

} // namespace ob
