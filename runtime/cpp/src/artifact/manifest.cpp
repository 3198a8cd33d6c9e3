#include "artifact/manifest.h"

#include <algorithm>

#include "base/errors.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

namespace {

void read_model(Manifest &manifest, const Value &value) {
    check_fields(value, "name version source_digest licence weights");
    std::string source;
    value.text("name", manifest.model, NAME);
    value.text("version", manifest.version, FREE);
    value.text("source_digest", source, FREE);
    value.text("licence", manifest.licence, FREE);
    Value weights = value.field("weights");
    check_fields(weights, "origin detail? random? seed?");
    Value origin = weights.field("origin");
    read_choice(origin, "file package torchvision random embedded");
    manifest.origin = origin->text;
    weights.text("detail", manifest.origin_detail, FREE);
    weights.flag("random", manifest.random_weights);
    if (Value seed = weights.given("seed")) manifest.seed = read_whole(seed, 0, INT64_MAX);
}

void read_files(Manifest &manifest, const Value &value) {
    manifest.files.resize(check_object(value, 1, MAX_FILES, &PATH));
    for (size_t i = 0; i < manifest.files.size(); ++i) {
        Value item = value.entry(i);
        check_fields(item, "size sha256 blake3?");
        auto &[name, record] = manifest.files[i];
        name = value->names[i];
        item.whole("size", record.size, 0, MAX_FILE_BYTES);
        item.text("sha256", record.sha256, SHA256);
        if (Value digest = item.given("blake3")) record.blake3 = read_text(digest, SHA256);
    }
    sort(manifest.files, [](const auto &one, const auto &two) { return one.first < two.first; });
}

void read_variant(VariantRef &variant, const Value &value) {
    check_fields(value, "target path precision?");
    value.text("target", variant.target, FOLDER);
    value.text("path", variant.path, PATH);
    if (Value name = value.field("precision")) variant.precision = read_precision(name);
}

// The digest is taken of the file with its own 64 characters as zeros.
void check_seal(const Manifest &manifest, std::string_view data, const std::string &where) {
    const std::string unsealed(64, '0');
    size_t found = data.find(manifest.digest);
    if (manifest.digest == unsealed || found == data.npos || data.find(manifest.digest, found + 1) != data.npos) {
        invalid(where, ".digest is not a seal: write manifests with ovenbird_runtime.manifest.manifest.seal");
    }
    Sha256 hash;
    hash.update(data.data(), found);
    hash.update(unsealed.data(), unsealed.size());
    hash.update(data.data() + found + 64, data.size() - found - 64);
    if (hash.hex() != manifest.digest) {
        invalid(where, " was changed after it was written: its digest does not match; copy or compile the artifact "
                       "again");
    }
}

void check_manifest(const Manifest &manifest, const std::string &where) {
    std::vector<std::string> names, paths, files;
    for (const VariantRef &variant : manifest.variants) {
        names.push_back(variant.name());
        paths.push_back(variant.path);
    }
    for (const auto &[name, record] : manifest.files) files.push_back(name);
    check_unique(names, "variants", where);
    check_unique(paths, "variant paths", where);
    for (const auto &[name, program] : manifest.programs) {
        check_program(program, files, manifest.programs.size() == 1 ? where : str(where, ": ", name));
    }
    for (const std::string &path : paths) {
        for (const char *name : {"model.so", "target.json"}) {
            if (manifest.file(str(path, "/", name))) continue;
            invalid(where, ": ", path, "/", name, " is not in the file table");
        }
    }
    check_generation(manifest.programs, manifest.states, manifest.loop, files, where);
    if (manifest.file("manifest.json")) {
        invalid(where, ": the file table cannot hold manifest.json itself");
    }
}

} // namespace

const FileRecord *Manifest::file(const std::string &name) const {
    auto found = std::lower_bound(files.begin(), files.end(), name,
                                  [](const auto &one, const std::string &two) { return one.first < two; });
    return found != files.end() && found->first == name ? &found->second : nullptr;
}

const std::string &Manifest::program_name(const std::string &name) const {
    std::vector<std::string> names;
    for (const auto &[known, program] : programs) {
        if (known == name || (name.empty() && programs.size() == 1)) return known;
        names.push_back(known);
    }
    fail(OVENBIRD_UNKNOWN_PROGRAM, name.empty() ? "no program is named" : str("program is ", shown(name)),
         ", the model has ", join(names), ": name one of them");
}

const Program &Manifest::program(const std::string &name) const {
    const std::string &wanted = program_name(name);
    for (const auto &[known, program] : programs) {
        if (known == wanted) return program;
    }
    return programs.front().second; // not reached: the name is one of them
}

void check_version(const Json &value, const std::string &where) {
    const Json *version = value.find("schema_version");
    if (!version || version->kind != Json::Kind::Integer) return;
    if (version->huge ? version->real > 0 : version->integer > SCHEMA_VERSION) {
        fail(OVENBIRD_MANIFEST_TOO_NEW, where, " has schema version ", shown(*version), ", this runtime reads up to ",
             SCHEMA_VERSION, ": upgrade it");
    }
    if (!version->huge && version->integer == 1) {
        fail(OVENBIRD_PLAN_MISSING, where,
             " is of schema 1, from before there were plans: run it with ovenbird-rt, "
             "or compile it again");
    }
}

Manifest decode_manifest(std::string_view data, const std::string &file) {
    Manifest manifest;
    manifest.source = parse_json(data, file);
    check_version(manifest.source, file);
    Value value(manifest.source, file);
    check_fields(value, "schema_version model programs parity tuning variants files states? loop? digest?");
    read_whole(value.field("schema_version"), SCHEMA_VERSION, SCHEMA_VERSION);
    read_model(manifest, value.field("model"));
    Value programs = value.field("programs");
    manifest.programs.resize(check_object(programs, 1, MAX_PROGRAMS, &PROGRAM));
    for (size_t i = 0; i < manifest.programs.size(); ++i) {
        manifest.programs[i] = {programs->names[i], read_program(programs.entry(i))};
    }
    if (Value parity = value.given("parity")) manifest.parity = read_parity(parity);
    Value tuning = value.field("tuning");
    size_t records = check_object(tuning, 0, INT64_MAX, nullptr);
    for (size_t i = 0; i < records; ++i) check_finite(tuning.entry(i));
    manifest.variants = read_items<VariantRef>(value.field("variants"), 1, MAX_VARIANTS, read_variant);
    read_files(manifest, value.field("files"));
    if (Value states = value.field("states")) manifest.states = read_states(states);
    if (Value loop = value.given("loop")) manifest.loop = read_loop(loop);
    manifest.digest = std::string(64, '0');
    value.text("digest", manifest.digest, SHA256);
    check_seal(manifest, data, file);
    check_manifest(manifest, file);
    return manifest;
}

} // namespace ob
