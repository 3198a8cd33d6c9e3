// Files of an artifact that may be hostile: plain files only, below one folder, through no link.
//
//     File file = open_plain(root, "manifest.json");
//     Memory bytes = file.copy(sha);              // private to this process: what was hashed is what is used
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>

#include "base/blake3.h"
#include "base/sha256.h"

namespace ob {

// Pages of our own, zero at first, at a page's boundary; or those of an image that nothing changes. Freed with the object.
class Memory {
  public:
    Memory() = default;
    // Throws OutOfMemory, which names what they are for.
    Memory(size_t bytes, const char *what);
    ~Memory();
    Memory(Memory &&other) noexcept : data_(other.data_), bytes_(other.bytes_) { other.data_ = nullptr; }
    Memory &operator=(Memory &&other) noexcept;
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;

    unsigned char *data() const { return data_; }
    size_t bytes() const { return bytes_; }
    // Refuses writes from now on, by the processor's own protection.
    void protect();

  private:
    friend class File;
    unsigned char *data_ = nullptr;
    size_t bytes_ = 0;
};

// Where an artifact lies: a folder, a file that holds one (bundle.h), or such a file's bytes in memory.
struct Root {
    std::string path;
    std::string_view memory; // where it is not empty

    Root() = default;
    Root(std::string where) : path(std::move(where)) {}
    explicit Root(std::string_view bytes) : memory(bytes) {}
};

// An open descriptor, closed with the object; all of a file, or a part of one. Or bytes in memory.
class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    explicit File(std::string_view memory)
        : descriptor_(-1), memory_(memory), part_(static_cast<int64_t>(memory.size())), left_(part_) {}
    // `bytes` bytes of it from `offset` on, which lie in it; throws FileMissing.
    static File part_of(File whole, int64_t offset, int64_t bytes, const std::string &name);
    ~File();
    File(File &&other) noexcept
        : descriptor_(other.descriptor_), memory_(other.memory_), part_(other.part_), left_(other.left_) {
        other.descriptor_ = -1;
    }
    File &operator=(File &&other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        std::swap(memory_, other.memory_);
        std::swap(part_, other.part_);
        std::swap(left_, other.left_);
        return *this;
    }
    File(const File &) = delete;

    int descriptor() const { return descriptor_; }
    int64_t size() const;
    // Reads bytes at a place; returns 0, an errno, or -1 where there are not so many.
    int read_at(void *into, size_t bytes, off_t offset) const;
    // At most `limit` bytes, and one more where there are more; throws FileMissing.
    std::string read_up_to(int64_t limit, const std::string &name) const;
    // A copy of `size` bytes, hashed as they arrive; throws FileMissing where there are fewer.
    Memory copy(int64_t size, const std::string &name, Sha256 &hash) const;
    // A copy of all bytes of the tree, each piece read and hashed by one of at most `threads` threads; throws FileMissing
    // where there are fewer.
    Memory copy(Blake3Tree &tree, const std::string &name, int threads) const;
    // Its own pages, read-only, where nothing changes them: in the image of a container with a read-only root. None
    // elsewhere.
    Memory image_pages() const;
    // Hashes all of it without keeping it.
    void hash(const std::string &name, Sha256 &hash) const;
    void hash(const std::string &name, Blake3Tree &tree) const; // throws FileMissing where it is shorter than the tree

  private:
    size_t read_some(void *into, size_t bytes, const std::string &name) const;

    int descriptor_;
    std::string_view memory_;
    int64_t part_ = -1;         // its size where it is a part
    mutable int64_t left_ = -1; // of a part, what was not read yet
};

// Opens `name` (folders separated by "/") below `root`; throws UnsafePath, FileMissing. Weights that a file with an
// artifact lacks are looked for in the folder of its name and ".weights".
File open_plain(const Root &root, const std::string &name);

// Whether an artifact in one file was written without this: evidence, which nothing but selftest reads
// (`ovenbird bake --no-evidence`).
bool is_left_out(const Root &root, const std::string &name);

// The text of a file of the system's (/proc, /sys), empty where it cannot be read.
std::string system_text(const std::string &path);

// Why a system call failed, in the system's words.
std::string reason(int error);

} // namespace ob
