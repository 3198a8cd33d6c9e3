// What `manifest.json` says, read strictly (`ovenbird_runtime/manifest/manifest.py`).
//
//     Manifest manifest = decode_manifest(data);       // a changed byte, an unknown field is refused
//     manifest.file("labels.txt")->sha256
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "artifact/generation.h"
#include "artifact/parity.h"
#include "artifact/program.h"

namespace ob {

struct VariantRef {
    std::string target, path;
    Precision precision = Precision::F32;
    std::string name() const { return variant_name(target, precision); }
};

struct FileRecord {
    int64_t size;
    std::string sha256;
    std::string blake3; // of a large file; empty where the manifest has none
};

struct Manifest {
    std::string model, version, licence;
    std::string origin, origin_detail; // of the weights
    bool random_weights = false;
    std::optional<int64_t> seed;
    NamedPrograms programs;
    std::vector<KeptState> states; // what stays between calls of a model that makes text
    std::optional<TextLoop> loop;  // how the programs make text
    std::optional<Parity> parity;
    std::vector<VariantRef> variants;
    std::vector<std::pair<std::string, FileRecord>> files; // sorted by name
    std::string digest;
    Json source; // all of it, as it stands in the file

    const FileRecord *file(const std::string &name) const;
    // The only program for an empty name; throws UnknownProgram.
    const std::string &program_name(const std::string &name = {}) const;
    const Program &program(const std::string &name = {}) const;
    // The one that pictures go to: the only one, or the first of the loop.
    const Program &picture_program() const { return program(loop ? loop->once[0] : std::string()); }
};

Manifest decode_manifest(std::string_view data, const std::string &where = "manifest.json");

// Refuses a schema version that is later than this runtime, or older; throws ManifestTooNew, ManifestInvalid.
void check_version(const Json &value, const std::string &where);

} // namespace ob
