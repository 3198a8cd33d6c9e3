#include "artifact/files.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "artifact/bundle.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr size_t CHUNK_BYTES = 1 << 16;              // hashed while it is in the processor's cache
constexpr size_t HUGE_PAGE_BYTES = size_t{2} << 20; // x86-64's; aarch64's with pages of 4 KiB

constexpr int SHORTER = -1; // in place of an errno: the file ends before it should

[[noreturn]] void shorter(const std::string &name) {
    fail(OVENBIRD_FILE_MISSING, name, " cannot be read: it became shorter");
}

[[noreturn]] void missing(const std::string &name, int error) {
    fail(OVENBIRD_FILE_MISSING, name, " cannot be read: ", reason(error));
}

void refuse_link(int folder, const std::string &part, const std::string &name) {
    struct stat state;
    if (fstatat(folder, part.c_str(), &state, AT_SYMLINK_NOFOLLOW) != 0) missing(shown(name), errno);
    if (S_ISLNK(state.st_mode)) {
        fail(OVENBIRD_UNSAFE_PATH, shown(name),
             " is or passes through a symbolic link: copy the artifact with its "
             "links resolved (cp -rL)");
    }
}

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// Whether a file is part of the image of the container that we run in, whose root is mounted read-only. Nothing changes
// such a file in place (`ovenbird_runtime/integrity/leases.py`); a volume, which has another device than the root, may be
// written to elsewhere.
bool lies_in_image(int descriptor) {
    constexpr unsigned long OVERLAY = 0x794c7630, READ_ONLY = 1; // statfs(2)
    char path[PATH_MAX];
    ssize_t length = readlink(str("/proc/self/fd/", descriptor).c_str(), path, sizeof path);
    if (length <= 0 || length == sizeof path) return false;
    std::string folder(path, static_cast<size_t>(length));
    folder.resize(folder.rfind('/') + 1);
    struct stat own, root;
    struct statfs system;
    return stat(folder.c_str(), &own) == 0 && stat("/", &root) == 0 && own.st_dev == root.st_dev &&
           fstatfs(descriptor, &system) == 0 && static_cast<unsigned long>(system.f_type) == OVERLAY &&
           (static_cast<unsigned long>(system.f_flags) & READ_ONLY);
}

} // namespace

std::string system_text(const std::string &path) {
    constexpr int64_t MOST_BYTES = 16 << 20; // a kilobyte or two for each processor
    try {
        File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        return file.descriptor() < 0 ? "" : file.read_up_to(MOST_BYTES, path);
    } catch (const Error &) {
        return "";
    }
}

std::string reason(int error) { return std::strerror(error); }

Memory::Memory(size_t bytes, const char *what) : bytes_(bytes) {
    if (bytes == 0) return;
    // Large ones begin where a huge page can: 80 faults for ResNet50's weights, not 40,000.
    size_t page = page_bytes(), spare = bytes >= 2 * HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : 0;
    size_t whole = (bytes + page - 1) / page * page;
    void *found = MAP_FAILED;
    if (bytes <= whole && whole <= SIZE_MAX - spare) {
        found = mmap(nullptr, whole + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (found == MAP_FAILED) {
        bytes_ = 0;
        fail(OVENBIRD_OUT_OF_MEMORY, "there is no memory for ", bytes, " bytes of ", what);
    }
    data_ = static_cast<unsigned char *>(found);
    if (!spare) return;
    size_t before = (spare - reinterpret_cast<uintptr_t>(found) % spare) % spare;
    data_ += before;
    if (before) munmap(found, before);
    if (before < spare) munmap(data_ + whole, spare - before);
    madvise(data_, whole, MADV_HUGEPAGE);
}

Memory::~Memory() {
    size_t before = reinterpret_cast<uintptr_t>(data_) % page_bytes(); // of a part of a file
    if (data_) munmap(data_ - before, before + bytes_);
}

Memory &Memory::operator=(Memory &&other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

void Memory::protect() {
    if (data_) mprotect(data_, bytes_, PROT_READ);
}

File::~File() {
    if (descriptor_ >= 0) close(descriptor_);
}

size_t File::read_some(void *into, size_t bytes, const std::string &name) const {
    if (part_ >= 0) bytes = std::min(bytes, static_cast<size_t>(left_));
    if (descriptor_ < 0 && part_ >= 0) {
        std::memcpy(into, memory_.data() + memory_.size() - static_cast<size_t>(left_), bytes);
        left_ -= static_cast<int64_t>(bytes);
        return bytes;
    }
    while (bytes > 0) {
        ssize_t count = read(descriptor_, into, bytes);
        if (count >= 0) {
            left_ -= part_ >= 0 ? count : 0;
            return static_cast<size_t>(count);
        }
        if (errno != EINTR) missing(name, errno);
    }
    return 0;
}

int64_t File::size() const {
    if (part_ >= 0) return part_;
    struct stat state;
    return fstat(descriptor_, &state) == 0 ? static_cast<int64_t>(state.st_size) : 0;
}

File File::part_of(File whole, int64_t offset, int64_t bytes, const std::string &name) {
    if (whole.descriptor_ < 0) {
        return File(whole.memory_.substr(static_cast<size_t>(offset), static_cast<size_t>(bytes)));
    }
    if (lseek(whole.descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) missing(shown(name), errno);
    whole.part_ = whole.left_ = bytes;
    return whole;
}

std::string File::read_up_to(int64_t limit, const std::string &name) const {
    std::string data;
    std::string piece(CHUNK_BYTES, '\0');
    size_t most = static_cast<size_t>(limit) + 1;
    while (data.size() < most) {
        size_t wanted = std::min(piece.size(), most - data.size());
        size_t count = read_some(piece.data(), wanted, name);
        if (count == 0) break;
        data.append(piece, 0, count);
    }
    return data;
}

Memory File::copy(int64_t size, const std::string &name, Sha256 &hash) const {
    Memory memory(static_cast<size_t>(size), name.c_str());
    for (size_t done = 0; done < memory.bytes();) {
        size_t wanted = std::min(CHUNK_BYTES, memory.bytes() - done);
        size_t count = read_some(memory.data() + done, wanted, name);
        if (count == 0) shorter(name);
        hash.update(memory.data() + done, count);
        done += count;
    }
    return memory;
}

int File::read_at(void *into, size_t bytes, off_t offset) const {
    if (descriptor_ < 0) {
        size_t start = static_cast<size_t>(offset);
        if (start > memory_.size() || bytes > memory_.size() - start) return SHORTER;
        std::memcpy(into, memory_.data() + start, bytes);
        return 0;
    }
    for (char *next = static_cast<char *>(into); bytes > 0;) {
        ssize_t count = pread(descriptor_, next, bytes, offset);
        if (count == 0) return SHORTER;
        if (count < 0 && errno != EINTR) return errno;
        if (count < 0) continue;
        next += count;
        offset += count;
        bytes -= static_cast<size_t>(count);
    }
    return 0;
}

Memory File::copy(Blake3Tree &tree, const std::string &name, int threads) const {
    Memory memory(tree.bytes(), name.c_str());
    off_t start = descriptor_ < 0 ? 0 : lseek(descriptor_, 0, SEEK_CUR);
    std::atomic<int> error{0};
    bool whole = tree.add_all(threads, [&](size_t piece) -> const unsigned char * {
        size_t offset = piece * Blake3Tree::PIECE_BYTES;
        int found = read_at(memory.data() + offset, tree.piece_bytes(piece), start + static_cast<off_t>(offset));
        if (found) error = found;
        return found ? nullptr : memory.data() + offset;
    });
    if (!whole && error == SHORTER) shorter(name);
    if (!whole) missing(name, error);
    return memory;
}

Memory File::image_pages() const {
    Memory memory;
    size_t bytes = static_cast<size_t>(size());
    if (descriptor_ < 0 || bytes == 0 || !lies_in_image(descriptor_)) return memory;
    off_t start = part_ < 0 ? 0 : lseek(descriptor_, 0, SEEK_CUR);
    size_t before = start < 0 ? 1 : static_cast<size_t>(start) % page_bytes(); // where a part's first page begins
    if (before % static_cast<size_t>(ALIGNMENT_BYTES) != 0) return memory;
    void *found = mmap(nullptr, before + bytes, PROT_READ, MAP_SHARED, descriptor_, start - static_cast<off_t>(before));
    if (found == MAP_FAILED) return memory;
    memory.data_ = static_cast<unsigned char *>(found) + before;
    memory.bytes_ = bytes;
    return memory;
}

void File::hash(const std::string &name, Sha256 &hash) const {
    std::string piece(CHUNK_BYTES, '\0');
    while (size_t count = read_some(piece.data(), piece.size(), name)) hash.update(piece.data(), count);
}

void File::hash(const std::string &name, Blake3Tree &tree) const {
    std::string piece(Blake3Tree::PIECE_BYTES, '\0');
    for (size_t i = 0; i < tree.pieces(); ++i) {
        size_t done = 0;
        while (done < tree.piece_bytes(i)) {
            size_t count = read_some(piece.data() + done, tree.piece_bytes(i) - done, name);
            if (count == 0) shorter(name);
            done += count;
        }
        tree.add(i, reinterpret_cast<const unsigned char *>(piece.data()));
    }
}

namespace {

File open_bundled(const Root &root, File file, const std::string &name) {
    std::optional<Bundle> bundle = read_bundle(file);
    const BundledFile *found = bundle ? bundle->find(name) : nullptr;
    constexpr std::string_view WEIGHTS = "weights/";
    if (!found && root.memory.empty() && name.compare(0, WEIGHTS.size(), WEIGHTS) == 0) {
        return open_plain(root.path + ".weights", name.substr(WEIGHTS.size()));
    }
    if (!found) missing(shown(name), ENOENT);
    return File::part_of(std::move(file), found->offset, found->size, name);
}

} // namespace

bool is_left_out(const Root &root, const std::string &name) {
    constexpr std::string_view EVIDENCE = "evidence/";
    if (name.compare(0, EVIDENCE.size(), EVIDENCE) != 0) return false;
    File file = root.memory.empty() ? File(open(root.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) : File(root.memory);
    struct stat kind;
    bool plain = file.descriptor() >= 0 && fstat(file.descriptor(), &kind) == 0 && S_ISREG(kind.st_mode);
    if (root.memory.empty() && !plain) return false;
    std::optional<Bundle> bundle = read_bundle(file);
    return bundle && !bundle->find(name);
}

File open_plain(const Root &root, const std::string &name) {
    std::vector<std::string> parts;
    for (size_t start = 0, end; start <= name.size(); start = end + 1) {
        end = std::min(name.find('/', start), name.size());
        parts.push_back(name.substr(start, end - start));
    }
    for (const std::string &part : parts) {
        if (part.empty() || part == "." || part == ".." ||
            part.find_first_of(std::string_view("\0\\", 2)) != part.npos) {
            fail(OVENBIRD_UNSAFE_PATH, shown(name), " is not a plain path inside the artifact");
        }
    }
    if (!root.memory.empty()) return open_bundled(root, File(root.memory), name);
    File folder(open(root.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    struct stat kind;
    if (folder.descriptor() < 0 || fstat(folder.descriptor(), &kind) != 0) missing(shown(name), errno);
    if (S_ISREG(kind.st_mode)) return open_bundled(root, std::move(folder), name);
    for (size_t i = 0; i < parts.size(); ++i) {
        refuse_link(folder.descriptor(), parts[i], name);
        bool last = i + 1 == parts.size();
        // A pipe must not make us wait for its writer before we can refuse it.
        int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
        File inner(openat(folder.descriptor(), parts[i].c_str(), flags));
        if (inner.descriptor() < 0) missing(shown(name), errno);
        if (last) {
            struct stat state;
            if (fstat(inner.descriptor(), &state) != 0 || !S_ISREG(state.st_mode)) {
                fail(OVENBIRD_UNSAFE_PATH, shown(name), " is not a plain file");
            }
            return inner;
        }
        folder = std::move(inner);
    }
    missing(shown(name), ENOENT);
}

} // namespace ob
