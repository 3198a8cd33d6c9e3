#include "base/sha256.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace ob {

namespace {

using Blocks = void (*)(uint32_t *state, const unsigned char *data, size_t count);

alignas(64) constexpr uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

inline uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

void plain_blocks(uint32_t *state, const unsigned char *data, size_t count) {
    for (; count; --count, data += 64) {
        uint32_t w[64], v[8];
        for (int i = 0; i < 16; ++i) {
            w[i] = uint32_t{data[4 * i]} << 24 | uint32_t{data[4 * i + 1]} << 16 | uint32_t{data[4 * i + 2]} << 8 |
                   data[4 * i + 3];
        }
        for (int i = 16; i < 64; ++i) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
                   (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
        std::memcpy(v, state, sizeof v);
        for (int i = 0; i < 64; ++i) {
            uint32_t e = v[4], a = v[0];
            uint32_t one =
                v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + K[i] + w[i];
            uint32_t two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
            for (int j = 7; j > 0; --j) v[j] = v[j - 1];
            v[4] += one;
            v[0] = one + two;
        }
        for (int i = 0; i < 8; ++i) state[i] += v[i];
    }
}

#if defined(__x86_64__)

// Intel, "New Instructions Supporting the Secure Hash Algorithm": four rounds an iteration, the state as ABEF and CDGH.
__attribute__((target("sha,sse4.1,ssse3"))) void sha_ni_blocks(uint32_t *state, const unsigned char *data,
                                                               size_t count) {
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state));
    __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    for (; count; --count, data += 64) {
        const __m128i abef0 = abef, cdgh0 = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; ++i) {
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(data) + i), order);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
            __m128i now = w[i & 3];
            if (i >= 4) {
                // now = w[t-16], next w[t-12], then w[t-8] and w[t-4]
                now = _mm_sha256msg1_epu32(now, w[(i + 1) & 3]);
                now = _mm_add_epi32(now, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                now = w[i & 3] = _mm_sha256msg2_epu32(now, w[(i + 3) & 3]);
            }
            __m128i sum = _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i *>(K) + i));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(state), _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

bool has_sha_ni() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 9 & 1) || !(c >> 19 & 1)) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

#else

constexpr Blocks sha_ni_blocks = plain_blocks;
bool has_sha_ni() { return false; }

#endif

Blocks choose_blocks() {
    const char *asked = std::getenv("OVENBIRD_SHA");
    bool masked = asked && std::strcmp(asked, "plain") == 0;
    return !masked && has_sha_ni() ? sha_ni_blocks : plain_blocks;
}

Blocks blocks() {
    static const Blocks chosen = choose_blocks();
    return chosen;
}

} // namespace

Sha256::Sha256()
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {}

void Sha256::update(const void *data, size_t bytes) {
    const unsigned char *next = static_cast<const unsigned char *>(data);
    size_t held = bytes_ % 64;
    bytes_ += bytes;
    if (held) {
        size_t taken = std::min(bytes, 64 - held);
        std::memcpy(rest_ + held, next, taken);
        next += taken;
        bytes -= taken;
        if (held + taken < 64) return;
        blocks()(state_, rest_, 1);
    }
    blocks()(state_, next, bytes / 64);
    if (bytes % 64) std::memcpy(rest_, next + bytes / 64 * 64, bytes % 64);
}

std::string Sha256::hex() {
    uint64_t bits = bytes_ * 8;
    unsigned char end[72] = {0x80};
    size_t padding = (bytes_ % 64 < 56 ? 56 : 120) - bytes_ % 64;
    for (int i = 0; i < 8; ++i)
        end[padding + static_cast<size_t>(i)] = static_cast<unsigned char>(bits >> (56 - 8 * i));
    update(end, padding + 8);
    std::string out;
    for (uint32_t word : state_) {
        for (int shift = 28; shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[word >> shift & 15]);
    }
    return out;
}

std::string sha256_hex(const void *data, size_t bytes) {
    Sha256 hash;
    hash.update(data, bytes);
    return hash.hex();
}

} // namespace ob
