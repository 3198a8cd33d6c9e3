// Files of an artifact that may be hostile: plain files only, below one folder, through no link.
//
//     File file = open_plain(root, "manifest.json");
//     Memory bytes = file.copy(sha);              // private to this process: what was hashed is what is used
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/sha256.h"

namespace ob {

// Pages of our own, zero at first, at a page's boundary; freed with the object.
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
    unsigned char *data_ = nullptr;
    size_t bytes_ = 0;
};

// An open descriptor, closed with the object.
class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    ~File();
    File(File &&other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
    File &operator=(File &&other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    File(const File &) = delete;

    int descriptor() const { return descriptor_; }
    int64_t size() const;
    // At most `limit` bytes, and one more where there are more; throws FileMissing.
    std::string read_up_to(int64_t limit, const std::string &name) const;
    // A copy of `size` bytes, hashed as they arrive; throws FileMissing where there are fewer.
    Memory copy(int64_t size, const std::string &name, Sha256 &hash) const;
    // Hashes all of it without keeping it.
    void hash(const std::string &name, Sha256 &hash) const;

  private:
    int descriptor_;
};

// Opens `name` (folders separated by "/") below `root`; throws UnsafePath, FileMissing.
File open_plain(const std::string &root, const std::string &name);

// The text of a file of the system's (/proc, /sys), empty where it cannot be read.
std::string system_text(const std::string &path);

// Why a system call failed, in the system's words.
std::string reason(int error);

} // namespace ob
