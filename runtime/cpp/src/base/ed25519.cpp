#include "base/ed25519.h"

#include <cstdint>
#include <cstring>
#include <optional>

#include "base/sha512.h"

namespace ob {

namespace {

using Wide = unsigned __int128;
constexpr uint64_t MASK = (uint64_t{1} << 51) - 1;

// A number modulo 2**255 - 19 in five limbs of 51 bits, each a little larger at most.
struct Number {
    uint64_t v[5];
};

constexpr Number ZERO{{0, 0, 0, 0, 0}}, ONE{{1, 0, 0, 0, 0}};
constexpr Number D{{0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
constexpr Number TWICE_D{{0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
constexpr Number ROOT_OF_MINUS_ONE{
    {0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
constexpr Number BASE_X{{0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5}};
constexpr Number BASE_Y{{0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}};
constexpr Number BASE_T{{0x68ab3a5b7dda3, 0xeea2a5eadbb, 0x2af8df483c27e, 0x332b375274732, 0x67875f0fd78b7}};
// 2**252 + 27742317777372353535851937790883648493
constexpr uint64_t GROUP_ORDER[4] = {0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000};

Number carried(Number a) {
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 4; ++i) {
            a.v[i + 1] += a.v[i] >> 51;
            a.v[i] &= MASK;
        }
        a.v[0] += 19 * (a.v[4] >> 51);
        a.v[4] &= MASK;
    }
    return a;
}

Number add(const Number &a, const Number &b) {
    Number r;
    for (int i = 0; i < 5; ++i) r.v[i] = a.v[i] + b.v[i];
    return carried(r);
}

Number subtract(const Number &a, const Number &b) {
    Number r;
    for (int i = 0; i < 5; ++i) r.v[i] = a.v[i] + 4 * (i ? MASK : MASK - 18) - b.v[i]; // 4 * prime keeps it positive
    return carried(r);
}

Number multiply(const Number &a, const Number &b) {
    Wide sums[5] = {};
    for (int i = 0; i < 5; ++i) {
        for (int j = 0; j < 5; ++j) sums[(i + j) % 5] += Wide{a.v[i]} * (b.v[j] * (i + j < 5 ? 1 : 19));
    }
    Number r;
    Wide carry = 0;
    for (int i = 0; i < 5; ++i) {
        carry += sums[i];
        r.v[i] = static_cast<uint64_t>(carry) & MASK;
        carry >>= 51;
    }
    r.v[0] += static_cast<uint64_t>(carry) * 19;
    return carried(r);
}

// Canonical: 32 bytes, little-endian.
void to_bytes(Number a, unsigned char *out) {
    a = carried(a);
    uint64_t over = (a.v[0] + 19) >> 51; // whether a is not below the prime
    for (int i = 1; i < 5; ++i) over = (a.v[i] + over) >> 51;
    a.v[0] += 19 * over;
    for (int i = 0; i < 4; ++i) {
        a.v[i + 1] += a.v[i] >> 51;
        a.v[i] &= MASK;
    }
    a.v[4] &= MASK;
    std::memset(out, 0, 32);
    for (int bit = 0; bit < 255; ++bit) {
        out[bit / 8] = static_cast<unsigned char>(out[bit / 8] | (a.v[bit / 51] >> (bit % 51) & 1) << (bit % 8));
    }
}

Number from_bytes(const unsigned char *bytes) {
    Number a = ZERO;
    for (int bit = 0; bit < 255; ++bit) a.v[bit / 51] |= uint64_t{bytes[bit / 8] >> (bit % 8) & 1u} << (bit % 51);
    return a;
}

bool same(const Number &a, const Number &b) {
    unsigned char one[32], two[32];
    to_bytes(a, one);
    to_bytes(b, two);
    return std::memcmp(one, two, 32) == 0;
}

// a to the power of 2**bits - less, of whose binary digits the lowest eight are given.
Number power(const Number &a, int bits, unsigned low) {
    Number r = ONE;
    for (int bit = bits - 1; bit >= 0; --bit) {
        r = multiply(r, r);
        if (bit >= 8 || (low >> bit & 1)) r = multiply(r, a);
    }
    return r;
}

Number inverse(const Number &a) { return power(a, 255, 0xeb); } // 2**255 - 21

struct Point { // extended coordinates (RFC 8032, 5.1.4)
    Number x, y, z, t;
};

constexpr Point NEUTRAL{ZERO, ONE, ONE, ZERO};
constexpr Point BASE{BASE_X, BASE_Y, ONE, BASE_T};

Point add(const Point &p, const Point &q) {
    Number a = multiply(subtract(p.y, p.x), subtract(q.y, q.x)), b = multiply(add(p.y, p.x), add(q.y, q.x));
    Number c = multiply(multiply(p.t, q.t), TWICE_D), d = multiply(p.z, q.z);
    d = add(d, d);
    Number e = subtract(b, a), f = subtract(d, c), g = add(d, c), h = add(b, a);
    return {multiply(e, f), multiply(g, h), multiply(f, g), multiply(e, h)};
}

void encode(const Point &p, unsigned char *out) {
    Number down = inverse(p.z);
    unsigned char x[32];
    to_bytes(multiply(p.x, down), x);
    to_bytes(multiply(p.y, down), out);
    out[31] = static_cast<unsigned char>(out[31] | (x[0] & 1) << 7);
}

std::optional<Point> decode_point(std::string_view data) {
    if (data.size() != 32) return std::nullopt;
    unsigned char bytes[32], canonical[32];
    std::memcpy(bytes, data.data(), 32);
    unsigned sign = bytes[31] >> 7;
    bytes[31] &= 0x7f;
    Number y = from_bytes(bytes);
    to_bytes(y, canonical);
    if (std::memcmp(bytes, canonical, 32) != 0) return std::nullopt; // not below the prime
    Number square = multiply(y, y);
    Number x_squared = multiply(subtract(square, ONE), inverse(add(multiply(D, square), ONE)));
    Number x = power(x_squared, 252, 0xfe); // (prime + 3) / 8 = 2**252 - 2
    if (!same(multiply(x, x), x_squared)) x = multiply(x, ROOT_OF_MINUS_ONE);
    if (!same(multiply(x, x), x_squared) || (same(x, ZERO) && sign)) return std::nullopt;
    to_bytes(x, canonical);
    if ((canonical[0] & 1) != sign) x = subtract(ZERO, x);
    return Point{x, y, ONE, multiply(x, y)};
}

// Whether a number of 256 bits is below the order.
bool below_order(const uint64_t *a) {
    for (int i = 3; i >= 0; --i) {
        if (a[i] != GROUP_ORDER[i]) return a[i] < GROUP_ORDER[i];
    }
    return false;
}

// A digest of 512 bits modulo the order, bit by bit.
void reduce(const unsigned char *digest, uint64_t *r) {
    std::memset(r, 0, 32);
    for (int bit = 511; bit >= 0; --bit) {
        for (int i = 3; i > 0; --i) r[i] = r[i] << 1 | r[i - 1] >> 63;
        r[0] = r[0] << 1 | (digest[bit / 8] >> (bit % 8) & 1u);
        if (below_order(r)) continue;
        uint64_t borrow = 0;
        for (int i = 0; i < 4; ++i) {
            Wide gone = Wide{GROUP_ORDER[i]} + borrow;
            borrow = r[i] < gone;
            r[i] -= static_cast<uint64_t>(gone);
        }
    }
}

Point sum_of(const uint64_t *one, const Point &p, const uint64_t *two, const Point &q) {
    Point both = add(p, q), r = NEUTRAL;
    for (int bit = 255; bit >= 0; --bit) {
        r = add(r, r);
        bool first = one[bit / 64] >> (bit % 64) & 1, second = two[bit / 64] >> (bit % 64) & 1;
        if (first || second) r = add(r, first && second ? both : first ? p : q);
    }
    return r;
}

} // namespace

bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature) {
    std::optional<Point> key = decode_point(public_key);
    if (!key || signature.size() != 64) return false;
    uint64_t scalar[4], challenge[4];
    std::memcpy(scalar, signature.data() + 32, 32); // little-endian, as the processors that this runs on
    if (!below_order(scalar)) return false;
    reduce(sha512({signature.substr(0, 32), public_key, message}).data(), challenge);
    key->x = subtract(ZERO, key->x);
    key->t = subtract(ZERO, key->t);
    unsigned char found[32];
    encode(sum_of(scalar, BASE, challenge, *key), found);
    return std::memcmp(found, signature.data(), 32) == 0;
}

bool ed25519_usable(std::string_view public_key) {
    std::optional<Point> point = decode_point(public_key);
    if (!point) return false;
    for (int i = 0; i < 3; ++i) point = add(*point, *point);
    return !(same(point->x, ZERO) && same(point->y, point->z));
}

} // namespace ob
