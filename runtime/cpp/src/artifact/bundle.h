// An artifact behind a program in one file, or alone in memory: what `ovenbird bake --format executable` and
// `--format c` write.
//
//     the program
//     files, each at a multiple of 4096 bytes
//     the index: "target NAME\n", then "OFFSET SIZE NAME\n" for each file
//     the trailer, 24 bytes: the index's offset and size, little endian, then "OVENBIRD"
//
// What the files hold is checked as that of a folder is: by the manifest's digests, of the bytes that are used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ob {

struct BundledFile {
    std::string name;
    int64_t offset, size;
};

struct Bundle {
    std::string target; // the variant to use where none is named; empty: the best that runs here
    std::vector<BundledFile> files;

    const BundledFile *find(const std::string &name) const;
};

class File;

// nullopt where the file has no trailer; throws ManifestInvalid where trailer or index are damaged.
std::optional<Bundle> read_bundle(const File &file);

// The file that this process was started from, if it holds an artifact; empty where not.
std::string own_bundle();

} // namespace ob
