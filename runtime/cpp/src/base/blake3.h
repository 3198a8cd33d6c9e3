// BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020) of a file's bytes, whose pieces may come in any order and from
// several threads: the digest is a tree over chunks of a kilobyte, so pieces of 64 KiB are subtrees of it.
//
//     Blake3Tree tree(bytes);
//     for (size_t i = 0; i < tree.pieces(); ++i) tree.add(i, data + i * Blake3Tree::PIECE_BYTES);
//     tree.hex()                                   // 64 hexadecimal characters
//
// Written here because no library of it is in the systems that we build on, and a target gets none. Eight chunks (sixteen,
// four: what the processor's registers hold) go through the rounds side by side, with no instructions made for digests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ob {

class Blake3Tree {
  public:
    static constexpr size_t PIECE_BYTES = size_t{1} << 16; // stays in a processor's cache from its reading to its digest

    // Of a whole that has this many bytes.
    explicit Blake3Tree(size_t bytes);
    size_t bytes() const { return bytes_; }
    size_t pieces() const { return nodes_.size(); }
    size_t piece_bytes(size_t index) const;
    // Takes in a piece, once each; several threads may, with different ones.
    void add(size_t index, const unsigned char *data);
    // Takes in all pieces, shared out among at most `threads` threads; `find` says where a piece's bytes are, or nullptr
    // to give up. Returns whether all were taken in.
    bool add_all(int threads, const std::function<const unsigned char *(size_t piece)> &find);
    // After every piece was added.
    std::string hex() const;

    // For tests, before there are threads: chunks side by side from now on, at most so many. Returns how many there are.
    static size_t use_lanes(size_t most);

    // What a node of the tree is computed from: its value as another's child and as the root differ in a flag.
    struct Node {
        uint32_t state[8];
        uint32_t block[16];
        uint64_t counter;
        uint32_t length, flags;
    };

  private:
    Node merged(size_t first, size_t count) const;

    size_t bytes_;
    std::vector<Node> nodes_;
};

} // namespace ob
