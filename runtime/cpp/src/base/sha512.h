// SHA-512 (FIPS 180-4), for Ed25519.
#pragma once

#include <array>
#include <string_view>
#include <vector>

namespace ob {

// The digest of several pieces, one after the other.
std::array<unsigned char, 64> sha512(const std::vector<std::string_view> &pieces);

} // namespace ob
