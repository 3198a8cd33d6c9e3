#include "artifact/manifest.h"

#include <algorithm>

#include "base/errors.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

namespace {

void read_model(Manifest &manifest, const Json &value, const Where &where) {
    check_fields(value, where, "name version source_digest licence weights");
    manifest.model = text_field(value, where, "name", NAME);
    manifest.version = text_field(value, where, "version", FREE);
    text_field(value, where, "source_digest", FREE);
    manifest.licence = text_field(value, where, "licence", FREE);
    Where here = where.field("weights");
    const Json &weights = *value.find("weights");
    check_fields(weights, here, "origin detail? random? seed?");
    const Json &origin = *weights.find("origin");
    read_choice(origin, here.field("origin"), {"file", "package", "torchvision", "random", "embedded"});
    manifest.origin = origin.text;
    if (const Json *text = weights.find("detail")) {
        manifest.origin_detail = read_text(*text, here.field("detail"), FREE);
    }
    if (const Json *flag = weights.find("random")) manifest.random_weights = read_flag(*flag, here.field("random"));
    if (const Json *seed = given(weights, "seed")) {
        manifest.seed = read_whole(*seed, here.field("seed"), 0, INT64_MAX);
    }
}

void read_files(Manifest &manifest, const Json &value, const Where &where) {
    check_object(value, where, 1, MAX_FILES, &PATH);
    manifest.files.resize(value.items.size());
    for (size_t i = 0; i < value.items.size(); ++i) {
        Where here = where.key(value.names[i]);
        const Json &item = value.items[i];
        check_fields(item, here, "size sha256 blake3?");
        auto &[name, record] = manifest.files[i];
        name = value.names[i];
        record.size = whole_field(item, here, "size", 0, MAX_FILE_BYTES);
        record.sha256 = text_field(item, here, "sha256", SHA256);
        if (const Json *digest = given(item, "blake3"))
            record.blake3 = read_text(*digest, here.field("blake3"), SHA256);
    }
    sort(manifest.files, [](const auto &one, const auto &two) { return one.first < two.first; });
}

void read_variant(VariantRef &variant, const Json &value, const Where &where) {
    check_fields(value, where, "target path precision?");
    variant.target = text_field(value, where, "target", FOLDER);
    variant.path = text_field(value, where, "path", PATH);
    if (const Json *name = value.find("precision")) {
        variant.precision = read_precision(*name, where.field("precision"));
    }
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
    const Json &value = manifest.source;
    check_version(value, file);
    Where where(file);
    check_fields(value, where,
                 "schema_version model programs parity tuning variants files states? loop? digest?");
    whole_field(value, where, "schema_version", SCHEMA_VERSION, SCHEMA_VERSION);
    read_model(manifest, *value.find("model"), where.field("model"));
    Where list = where.field("programs");
    const Json &programs = check_object(*value.find("programs"), list, 1, MAX_PROGRAMS, &PROGRAM);
    manifest.programs.resize(programs.items.size());
    for (size_t i = 0; i < programs.items.size(); ++i) {
        manifest.programs[i] = {programs.names[i], read_program(programs.items[i], list.key(programs.names[i]))};
    }
    if (const Json *parity = given(value, "parity")) manifest.parity = read_parity(*parity, where.field("parity"));
    Where tuning = where.field("tuning");
    const Json &records = check_object(*value.find("tuning"), tuning, 0, INT64_MAX, nullptr);
    for (size_t i = 0; i < records.items.size(); ++i) check_finite(records.items[i], tuning.key(records.names[i]));
    manifest.variants =
        read_items<VariantRef>(*value.find("variants"), where.field("variants"), 1, MAX_VARIANTS, read_variant);
    read_files(manifest, *value.find("files"), where.field("files"));
    if (const Json *states = value.find("states")) manifest.states = read_states(*states, where.field("states"));
    if (const Json *loop = given(value, "loop")) manifest.loop = read_loop(*loop, where.field("loop"));
    manifest.digest = std::string(64, '0');
    if (const Json *digest = value.find("digest")) {
        manifest.digest = read_text(*digest, where.field("digest"), SHA256);
    }
    check_seal(manifest, data, file);
    check_manifest(manifest, file);
    return manifest;
}

} // namespace ob
