// An artifact on disk, and every check that comes before its code is loaded (`ovenbird_runtime/artifact/artifact.py`).
//
//     Artifact artifact = open_artifact("artifacts/resnet50", nullptr);
//     artifact.read("labels.txt", MAX_LABELS_BYTES);        // size and sha256 checked, of the bytes that are given
//
// What is used is what was checked: read into memory of our own first, its digest taken there, or of pages that nothing
// changes; a name is not opened twice.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/files.h"
#include "artifact/manifest.h"
#include "artifact/plan.h"
#include "artifact/target.h"

namespace ob {

struct Artifact {
    Root root;
    Manifest manifest;
    std::string manifest_sha256; // of manifest.json's bytes
    std::optional<std::string> signed_by; // the id of the required key whose signature was checked

    // Checks the sha256 of a file; throws FileChanged and what `read` throws.
    void verify(const std::string &name) const;
    // Reads a listed file of at most `limit` bytes; throws UnsafePath, FileMissing, FileChanged.
    std::string read(const std::string &name, int64_t limit) const;
    // A listed file in read-only memory: a copy of our own, or its pages where nothing changes them.
    Memory keep(const std::string &name) const;
    // Checks the digest of bytes that stand for a listed file; throws FileChanged.
    void check(const std::string &name, std::string_view bytes) const;

    Target read_target(const VariantRef &variant) const;
    // nullopt where the variant has none.
    std::optional<Plan> read_plan(const VariantRef &variant, const Target &target) const;
    // A file of `count` labels, one a line; of any number for nullopt.
    std::vector<std::string> read_labels(const std::string &name, std::optional<int64_t> count) const;

  private:
    File open(const std::string &name) const;
    void check_size(const std::string &name, int64_t bytes) const;
    void check(const std::string &name, const char *digest, const std::string &found, const std::string &expected) const;
    void check(const std::string &name, Sha256 &hash) const;
};

// `public_key`: a PEM file of Ed25519 keys, one of which must have signed; nullptr: the file that
// $OVENBIRD_REQUIRE_SIGNATURE names, and without it none is needed.
Artifact open_artifact(const std::string &path, const char *public_key);

// An artifact in memory (bundle.h), which is read while it is loaded and must stay until then.
Artifact open_embedded(std::string_view data, const char *public_key);

} // namespace ob
