#include "base/blake3.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#pragma GCC diagnostic ignored "-Wpsabi" // vectors are handed on between functions that are always inlined

namespace ob {

namespace {

using Node = Blake3Tree::Node;

#define OVENBIRD_INLINE inline __attribute__((always_inline))

constexpr size_t BLOCK_BYTES = 64, CHUNK_BYTES = 1024, DIGEST_BYTES = 32, GROUP_CHUNKS = 64;
constexpr size_t GROUP_BYTES = GROUP_CHUNKS * CHUNK_BYTES; // goes through the wide code, and through the cache once
constexpr size_t AHEAD_BYTES = 256; // from a block to what is fetched meanwhile
constexpr uint32_t CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8;

constexpr uint32_t START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// What becomes of a block's words from round to round (section 2.2).
constexpr int ORDER[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
constexpr int ROUNDS = 7;

// Where each round's words stand in the block.
struct Schedule {
    uint8_t places[ROUNDS][16];
};

constexpr Schedule make_schedule() {
    Schedule found{};
    for (int round = 0; round < ROUNDS; ++round) {
        for (int i = 0; i < 16; ++i) {
            found.places[round][i] = static_cast<uint8_t>(round == 0 ? i : found.places[round - 1][ORDER[i]]);
        }
    }
    return found;
}

constexpr Schedule SCHEDULE = make_schedule();

typedef uint32_t Eight __attribute__((vector_size(32)));

template <int BYTES, int... K>
OVENBIRD_INLINE Eight with_bytes_rotated(const Eight &words, std::integer_sequence<int, K...>) {
    typedef uint8_t Bytes __attribute__((vector_size(32)));
    Bytes bytes;
    std::memcpy(&bytes, &words, sizeof bytes);
    bytes = __builtin_shufflevector(bytes, bytes, ((K & ~3) | ((K + BYTES) & 3))...);
    Eight out;
    std::memcpy(&out, &bytes, sizeof out);
    return out;
}

// To the right. AVX2 rotates no words, but whole bytes by one instruction instead of three.
template <int BITS, class Word>
OVENBIRD_INLINE Word rotated(const Word &word) {
    if constexpr (std::is_same_v<Word, Eight> && BITS % 8 == 0) {
        return with_bytes_rotated<BITS / 8>(word, std::make_integer_sequence<int, 32>());
    } else {
        return word >> BITS | word << (32 - BITS);
    }
}

template <class Word>
OVENBIRD_INLINE void mix(Word &a, Word &b, Word &c, Word &d, const Word &x, const Word &y) {
    a = a + b + x;
    d = rotated<16>(d ^ a);
    c = c + d;
    b = rotated<12>(b ^ c);
    a = a + b + y;
    d = rotated<8>(d ^ a);
    c = c + d;
    b = rotated<7>(b ^ c);
}

template <class Word>
OVENBIRD_INLINE void mix_all(Word *v, const Word *m, const uint8_t *at) {
    mix(v[0], v[4], v[8], v[12], m[at[0]], m[at[1]]);
    mix(v[1], v[5], v[9], v[13], m[at[2]], m[at[3]]);
    mix(v[2], v[6], v[10], v[14], m[at[4]], m[at[5]]);
    mix(v[3], v[7], v[11], v[15], m[at[6]], m[at[7]]);
    mix(v[0], v[5], v[10], v[15], m[at[8]], m[at[9]]);
    mix(v[1], v[6], v[11], v[12], m[at[10]], m[at[11]]);
    mix(v[2], v[7], v[8], v[13], m[at[12]], m[at[13]]);
    mix(v[3], v[4], v[9], v[14], m[at[14]], m[at[15]]);
}

template <class Word, size_t... ROUND>
OVENBIRD_INLINE void mix_rounds(Word *v, const Word *m, std::index_sequence<ROUND...>) {
    (mix_all(v, m, SCHEDULE.places[ROUND]), ...);
}

// Seven pieces of code for what most processors have; one piece for the others, which is smaller.
template <class Word>
OVENBIRD_INLINE void rounds(Word *v, const Word *m) {
    if constexpr (std::is_same_v<Word, Eight>) {
        mix_rounds(v, m, std::make_index_sequence<ROUNDS>());
    } else {
#pragma GCC unroll 1
        for (const auto &places : SCHEDULE.places) mix_all(v, m, places);
    }
}

// One block; `out` are eight words.
void compress(const Node &node, uint32_t flags, uint32_t *out) {
    uint32_t v[16], m[16];
    std::copy(node.block, node.block + 16, m);
    std::copy(node.state, node.state + 8, v);
    std::copy(START, START + 4, v + 8);
    v[12] = static_cast<uint32_t>(node.counter);
    v[13] = static_cast<uint32_t>(node.counter >> 32);
    v[14] = node.length;
    v[15] = node.flags | flags;
    rounds(v, m);
    for (int i = 0; i < 8; ++i) out[i] = v[i] ^ v[i + 8];
}

template <int N>
struct Vector;
template <>
struct Vector<4> {
    typedef uint32_t Words __attribute__((vector_size(16)));
};
template <>
struct Vector<8> {
    using Words = Eight;
};
template <>
struct Vector<16> {
    typedef uint32_t Words __attribute__((vector_size(64)));
};

// Several blocks at a time, one in each lane of vectors of N words.
template <int N>
struct Lanes {
    using Words = typename Vector<N>::Words;

    // One step of a transposition: rows `s` apart change their halves.
    template <int S, int... K>
    static OVENBIRD_INLINE void exchange(Words &a, Words &b, std::integer_sequence<int, K...>) {
        Words low = __builtin_shufflevector(a, b, (K & S ? N + K - S : K)...);
        b = __builtin_shufflevector(a, b, (K & S ? N + K : K + S)...);
        a = low;
    }

    template <int S>
    static OVENBIRD_INLINE void transpose(Words *rows) {
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) {
            if (!(i & S)) exchange<S>(rows[i], rows[i + S], std::make_integer_sequence<int, N>());
        }
        if constexpr (S > 1) transpose<S / 2>(rows);
    }

    static OVENBIRD_INLINE void load(const unsigned char *const *inputs, size_t offset, Words *m) {
#pragma GCC unroll 4
        for (int group = 0; group < 16; group += N) {
#pragma GCC unroll 16
            for (int lane = 0; lane < N; ++lane) std::memcpy(m + group + lane, inputs[lane] + offset + 4 * group, 4 * N);
            transpose<N / 2>(m + group);
        }
    }

    // `blocks` blocks from each of N inputs; the counter grows by `step` from lane to lane. `out`: N digests.
    static OVENBIRD_INLINE void hash(const unsigned char *const *inputs, size_t blocks, uint64_t counter, uint64_t step,
                                     uint32_t flags, uint32_t first, uint32_t last, unsigned char *out) {
        Words low, high, h[N > 8 ? N : 8];
        for (int lane = 0; lane < N; ++lane) {
            uint64_t own = counter + step * static_cast<uint64_t>(lane);
            low[lane] = static_cast<uint32_t>(own);
            high[lane] = static_cast<uint32_t>(own >> 32);
        }
        for (int i = 0; i < 8; ++i) h[i] = Words{} + START[i];
        for (size_t block = 0; block < blocks; ++block) {
            uint32_t now = flags | (block == 0 ? first : 0) | (block + 1 == blocks ? last : 0);
            Words m[16], v[16];
            load(inputs, block * BLOCK_BYTES, m);
            // Processors foresee one stream's next bytes, not those of so many: half as fast again, from memory.
            for (int lane = 0; lane < N; ++lane) __builtin_prefetch(inputs[lane] + block * BLOCK_BYTES + AHEAD_BYTES);
            for (int i = 0; i < 8; ++i) v[i] = h[i];
            for (int i = 0; i < 4; ++i) v[8 + i] = Words{} + START[i];
            v[12] = low;
            v[13] = high;
            v[14] = Words{} + static_cast<uint32_t>(BLOCK_BYTES);
            v[15] = Words{} + now;
            rounds(v, m);
            for (int i = 0; i < 8; ++i) h[i] = v[i] ^ v[i + 8];
        }
        for (int lane = 0; lane < N; ++lane) {
            uint32_t words[8];
            for (int i = 0; i < 8; ++i) words[i] = h[i][lane];
            std::memcpy(out + DIGEST_BYTES * static_cast<size_t>(lane), words, DIGEST_BYTES);
        }
    }
};

using HashLanes = void (*)(const unsigned char *const *inputs, size_t blocks, uint64_t counter, uint64_t step,
                           uint32_t flags, uint32_t first, uint32_t last, unsigned char *out);

constexpr size_t MOST_LANES = 16;

struct Width {
    size_t lanes;
    HashLanes hash;
};

void hash_4(const unsigned char *const *inputs, size_t blocks, uint64_t counter, uint64_t step, uint32_t flags,
            uint32_t first, uint32_t last, unsigned char *out) {
    Lanes<4>::hash(inputs, blocks, counter, step, flags, first, last, out);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) void hash_8(const unsigned char *const *inputs, size_t blocks, uint64_t counter,
                                            uint64_t step, uint32_t flags, uint32_t first, uint32_t last,
                                            unsigned char *out) {
    Lanes<8>::hash(inputs, blocks, counter, step, flags, first, last, out);
}

__attribute__((target("avx512f,avx512vl"))) void hash_16(const unsigned char *const *inputs, size_t blocks,
                                                         uint64_t counter, uint64_t step, uint32_t flags,
                                                         uint32_t first, uint32_t last, unsigned char *out) {
    Lanes<16>::hash(inputs, blocks, counter, step, flags, first, last, out);
}

Width widest(size_t most) {
    // Intel's manual, CPUID and XGETBV: what there is, and whether the system keeps the registers. The compiler's own
    // question reads the names of all processors, 5 KB of code.
    constexpr uint32_t OSXSAVE = 1u << 27, AVX = 1u << 28, AVX2 = 1u << 5, AVX512F = 1u << 16, AVX512VL = 1u << 31;
    constexpr uint32_t HALVES = 0x6, WHOLE = 0xe6;
    uint32_t a, b, c, d, saved;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (OSXSAVE | AVX)) != (OSXSAVE | AVX)) return {4, hash_4};
    __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {4, hash_4};
    if (most >= 16 && (saved & WHOLE) == WHOLE && (b & AVX512F) && (b & AVX512VL)) return {16, hash_16};
    if (most >= 8 && (saved & HALVES) == HALVES && (b & AVX2)) return {8, hash_8};
    return {4, hash_4};
}

#else

Width widest(size_t) { return {4, hash_4}; }

#endif

Width &chosen_width() {
    static Width width = widest(MOST_LANES);
    return width;
}

// `count` inputs side by side, `size` bytes apart. Lanes that are left over compute the last one again.
void hash_many(const unsigned char *data, size_t size, size_t count, uint64_t counter, uint64_t step, uint32_t flags,
               uint32_t first, uint32_t last, unsigned char *out) {
    const Width width = chosen_width();
    for (size_t done = 0; done < count; done += width.lanes) {
        const unsigned char *inputs[MOST_LANES];
        unsigned char found[MOST_LANES * DIGEST_BYTES];
        for (size_t lane = 0; lane < width.lanes; ++lane) inputs[lane] = data + std::min(done + lane, count - 1) * size;
        width.hash(inputs, size / BLOCK_BYTES, counter + done * step, step, flags, first, last, found);
        std::memcpy(out + done * DIGEST_BYTES, found, std::min(width.lanes, count - done) * DIGEST_BYTES);
    }
}

Node parent(const unsigned char *children) {
    Node node{{}, {}, 0, BLOCK_BYTES, PARENT};
    std::copy(START, START + 8, node.state);
    std::memcpy(node.block, children, BLOCK_BYTES);
    return node;
}

Node parent(const Node &left, const Node &right) {
    uint32_t children[16];
    compress(left, 0, children);
    compress(right, 0, children + 8);
    return parent(reinterpret_cast<const unsigned char *>(children));
}

// At most CHUNK_BYTES.
Node chunk(const unsigned char *data, size_t bytes, uint64_t counter) {
    Node node{{}, {}, counter, BLOCK_BYTES, CHUNK_START};
    std::copy(START, START + 8, node.state);
    for (; bytes > BLOCK_BYTES; bytes -= BLOCK_BYTES, data += BLOCK_BYTES) {
        std::memcpy(node.block, data, BLOCK_BYTES);
        compress(node, 0, node.state);
        node.flags = 0;
    }
    std::fill(std::begin(node.block), std::end(node.block), 0);
    if (bytes) std::memcpy(node.block, data, bytes);
    node.length = static_cast<uint32_t>(bytes);
    node.flags |= CHUNK_END;
    return node;
}

// GROUP_CHUNKS whole chunks.
Node group(const unsigned char *data, uint64_t counter) {
    unsigned char digests[GROUP_CHUNKS * DIGEST_BYTES];
    hash_many(data, CHUNK_BYTES, GROUP_CHUNKS, counter, 1, 0, CHUNK_START, CHUNK_END, digests);
    for (size_t count = GROUP_CHUNKS / 2; count > 1; count /= 2) {
        hash_many(digests, BLOCK_BYTES, count, 0, 0, PARENT, 0, 0, digests);
    }
    return parent(digests);
}

// The most units that a left subtree holds: a power of two, and less than all.
size_t left_of(size_t units) {
    size_t left = 1;
    while (left * 2 < units) left *= 2;
    return left;
}

Node subtree(const unsigned char *data, size_t bytes, uint64_t counter) {
    if (bytes <= CHUNK_BYTES) return chunk(data, bytes, counter);
    if (bytes == GROUP_BYTES) return group(data, counter);
    size_t left = left_of((bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);
    return parent(subtree(data, left * CHUNK_BYTES, counter),
                  subtree(data + left * CHUNK_BYTES, bytes - left * CHUNK_BYTES, counter + left));
}

} // namespace

size_t Blake3Tree::use_lanes(size_t most) {
    chosen_width() = widest(most);
    return chosen_width().lanes;
}

Blake3Tree::Blake3Tree(size_t bytes)
    : bytes_(bytes), nodes_(std::max<size_t>(1, (bytes + PIECE_BYTES - 1) / PIECE_BYTES)) {}

size_t Blake3Tree::piece_bytes(size_t index) const { return std::min(PIECE_BYTES, bytes_ - index * PIECE_BYTES); }

void Blake3Tree::add(size_t index, const unsigned char *data) {
    nodes_[index] = subtree(data, piece_bytes(index), index * (PIECE_BYTES / CHUNK_BYTES));
}

bool Blake3Tree::add_all(int threads, const std::function<const unsigned char *(size_t piece)> &find) {
    constexpr size_t SHARE = 32; // 2 MiB, so that no two threads clear one huge page
    std::atomic<size_t> next{0};
    std::atomic<bool> whole{true};
    auto work = [&] { // each share is one thread's: who adds to `next` owns the pieces from where it was at
        for (size_t i; whole && (i = next.fetch_add(SHARE)) < pieces();) {
            for (size_t end = std::min(i + SHARE, pieces()); whole && i < end; ++i) {
                const unsigned char *data = find(i);
                if (data) {
                    add(i, data);
                } else {
                    whole = false;
                }
            }
        }
    };
    std::vector<std::thread> helpers;
    try {
        size_t wanted = std::min(static_cast<size_t>(std::max(1, threads)), (pieces() + SHARE - 1) / SHARE);
        while (helpers.size() + 1 < wanted) helpers.emplace_back(work);
    } catch (const std::system_error &) { // no more threads are to be had: those there are do it all
    }
    work();
    for (std::thread &helper : helpers) helper.join();
    return whole;
}

Node Blake3Tree::merged(size_t first, size_t count) const {
    if (count == 1) return nodes_[first];
    size_t left = left_of(count);
    return parent(merged(first, left), merged(first + left, count - left));
}

std::string Blake3Tree::hex() const {
    uint32_t digest[8];
    compress(merged(0, nodes_.size()), ROOT, digest);
    std::string out;
    for (uint32_t word : digest) { // least byte first
        for (int byte = 0; byte < 4; ++byte, word >>= 8) {
            out.push_back("0123456789abcdef"[word >> 4 & 15]);
            out.push_back("0123456789abcdef"[word & 15]);
        }
    }
    return out;
}

} // namespace ob
