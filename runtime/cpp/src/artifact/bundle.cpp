#include "artifact/bundle.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr size_t TRAILER_BYTES = 24;
constexpr char MAGIC[] = "OVENBIRD";

[[noreturn]] void damaged(const char *what) {
    fail(OVENBIRD_MANIFEST_INVALID, "the artifact in this file is damaged: ", what, "; bake it again");
}

int64_t whole(const char *bytes) {
    uint64_t found = 0;
    for (int i = 7; i >= 0; --i) found = found << 8 | static_cast<unsigned char>(bytes[i]);
    return found > static_cast<uint64_t>(INT64_MAX) ? -1 : static_cast<int64_t>(found);
}

// A decimal number and the blank behind it.
int64_t take_whole(const std::string &line, size_t &place) {
    int64_t found = 0;
    size_t start = place;
    for (; place < line.size() && line[place] >= '0' && line[place] <= '9' && place - start < 18; ++place) {
        found = found * 10 + (line[place] - '0');
    }
    if (place == start || place >= line.size() || line[place] != ' ') damaged("a line of its index");
    ++place;
    return found;
}

} // namespace

const BundledFile *Bundle::find(const std::string &name) const {
    for (const BundledFile &file : files) {
        if (file.name == name) return &file;
    }
    return nullptr;
}

std::optional<Bundle> read_bundle(const File &file) {
    struct stat state;
    char trailer[TRAILER_BYTES];
    if (file.descriptor() >= 0 && (fstat(file.descriptor(), &state) != 0 || !S_ISREG(state.st_mode))) {
        return std::nullopt;
    }
    int64_t end = file.size() - static_cast<int64_t>(TRAILER_BYTES);
    if (end < 0 || file.read_at(trailer, TRAILER_BYTES, static_cast<off_t>(end)) != 0) return std::nullopt;
    if (std::memcmp(trailer + 16, MAGIC, 8) != 0) return std::nullopt;
    int64_t offset = whole(trailer), size = whole(trailer + 8);
    if (offset < 0 || size < 0 || size > MAX_MANIFEST_BYTES || offset > end || size != end - offset) {
        damaged("its trailer");
    }
    std::string text(static_cast<size_t>(size), '\0');
    if (file.read_at(text.data(), text.size(), static_cast<off_t>(offset)) != 0) damaged("its index");
    Bundle bundle;
    for (const std::string &line : split(text, "\n")) {
        if (line.compare(0, 7, "target ") == 0) {
            bundle.target = line.substr(7);
            continue;
        }
        size_t place = 0;
        int64_t at = take_whole(line, place), bytes = take_whole(line, place);
        if (at > offset || bytes > offset - at) damaged("a place in its index");
        bundle.files.push_back({line.substr(place), at, bytes});
    }
    return bundle;
}

std::string own_bundle() {
    // The link of /proc names the very file; an empty root has no /proc, and the kernel's note of the name must do.
    char resolved[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", resolved, sizeof resolved - 1);
    std::string path;
    if (length > 0) {
        path.assign(resolved, static_cast<size_t>(length));
    } else if (const char *name = reinterpret_cast<const char *>(getauxval(AT_EXECFN))) {
        path = name;
    }
    File file(path.empty() ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return file.descriptor() >= 0 && read_bundle(file) ? path : "";
}

} // namespace ob
