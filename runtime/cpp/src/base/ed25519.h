// Ed25519 (RFC 8032): checking a signature, strictly: S below the group's order, canonical points, the encoding of R
// compared byte for byte, as OpenSSL and the Python runtime do it.
//
// Only public values pass through here, so constant time is not needed.
#pragma once

#include <string>
#include <string_view>

namespace ob {

// Whether `signature` (64 bytes) is that of `message` by the key `public_key` (32 bytes).
bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature);

// Whether 32 bytes are a point of large order: with one of small order anybody could sign.
bool ed25519_usable(std::string_view public_key);

} // namespace ob
