// SHA-256 (FIPS 180-4), by the processor's instructions where it has them (x86: SHA-NI).
//
//     sha256_hex(data.data(), data.size())         // 64 hexadecimal characters
//
// OVENBIRD_SHA=plain in the environment masks the instructions, to measure what a processor without them takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace ob {

class Sha256 {
  public:
    Sha256();
    void update(const void *data, size_t bytes);
    std::string hex(); // ends it

  private:
    uint32_t state_[8];
    uint64_t bytes_ = 0;
    unsigned char rest_[64];
};

std::string sha256_hex(const void *data, size_t bytes);

} // namespace ob
