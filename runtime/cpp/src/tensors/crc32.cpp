#include "tensors/crc32.h"

#include <array>

namespace ob {

namespace {

constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
        table[i] = value;
    }
    return table;
}

constexpr std::array<uint32_t, 256> TABLE = make_table();

} // namespace

uint32_t crc32(std::string_view data) {
    uint32_t value = 0xffffffffu;
    for (char c : data) value = TABLE[(value ^ static_cast<unsigned char>(c)) & 0xff] ^ value >> 8;
    return ~value;
}

} // namespace ob
