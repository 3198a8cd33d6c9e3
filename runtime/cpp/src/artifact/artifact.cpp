#include "artifact/artifact.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>

#include "artifact/bundle.h"
#include "artifact/signatures.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "machine/machine.h"

namespace ob {

File Artifact::open(const std::string &name) const {
    if (!manifest.file(name)) fail(OVENBIRD_FILE_MISSING, shown(name), " is not in the manifest's file table");
    File file = open_plain(root, name);
    check_size(name, file.size());
    return file;
}

void Artifact::check_size(const std::string &name, int64_t bytes) const {
    int64_t expected = manifest.file(name)->size;
    if (bytes == expected) return;
    fail(OVENBIRD_FILE_CHANGED, name, " has ", bytes, " bytes, the manifest says ", expected,
         ": copy or compile the artifact again");
}

void Artifact::check(const std::string &name, const char *digest, const std::string &found,
                     const std::string &expected) const {
    if (found == expected) return;
    fail(OVENBIRD_FILE_CHANGED, name, " has ", digest, " ", found.substr(0, 12), "\xe2\x80\xa6, the manifest says ",
         expected.substr(0, 12), "\xe2\x80\xa6: copy or compile the artifact again");
}

void Artifact::check(const std::string &name, Sha256 &hash) const {
    check(name, "sha256", hash.hex(), manifest.file(name)->sha256);
}

void Artifact::verify(const std::string &name) const {
    const FileRecord *record = manifest.file(name);
    File file = open(name);
    if (record->blake3.empty()) {
        Sha256 hash;
        file.hash(name, hash);
        return check(name, hash);
    }
    Blake3Tree tree(static_cast<size_t>(record->size));
    file.hash(name, tree);
    check(name, "blake3", tree.hex(), record->blake3);
}

std::string Artifact::read(const std::string &name, int64_t limit) const {
    File file = open(name);
    int64_t size = manifest.file(name)->size;
    if (size > limit) fail(OVENBIRD_FILE_CHANGED, name, " has ", size, " bytes, limit ", limit);
    std::string data = file.read_up_to(limit, name);
    Sha256 hash;
    hash.update(data.data(), data.size());
    check(name, hash);
    return data;
}

void Artifact::check(const std::string &name, std::string_view bytes) const {
    const FileRecord *record = manifest.file(name);
    check_size(name, static_cast<int64_t>(bytes.size()));
    if (record->blake3.empty()) {
        Sha256 hash;
        hash.update(bytes.data(), bytes.size());
        return check(name, hash);
    }
    auto *data = reinterpret_cast<const unsigned char *>(bytes.data());
    Blake3Tree tree(bytes.size());
    tree.add_all(available_threads(), [&](size_t piece) { return data + piece * Blake3Tree::PIECE_BYTES; });
    check(name, "blake3", tree.hex(), record->blake3);
}

Memory Artifact::keep(const std::string &name) const {
    const FileRecord *record = manifest.file(name);
    File file = open(name);
    Memory memory = file.image_pages();
    if (memory.data()) {
        check(name, {reinterpret_cast<const char *>(memory.data()), memory.bytes()});
    } else if (record->blake3.empty()) {
        Sha256 hash;
        memory = file.copy(record->size, name, hash);
        check(name, hash);
    } else {
        Blake3Tree tree(static_cast<size_t>(record->size));
        memory = file.copy(tree, name, available_threads());
        check(name, "blake3", tree.hex(), record->blake3);
    }
    memory.protect();
    return memory;
}

Target Artifact::read_target(const VariantRef &variant) const {
    std::string where = variant.path + "/target.json";
    Target target = decode_target(read(where, MAX_MANIFEST_BYTES), where);
    if (target.precision != variant.precision) {
        invalid(where, " computes in ", precision_name(target.precision), ", the manifest says ",
                precision_name(variant.precision));
    }
    check_target(target, manifest, where);
    return target;
}

std::optional<Plan> Artifact::read_plan(const VariantRef &variant, const Target &target) const {
    std::string where = variant.path + "/plan.json";
    if (!manifest.file(where)) return std::nullopt;
    Plan plan = decode_plan(read(where, MAX_PLAN_BYTES), where);
    for (const PlanEntry &entry : plan.entries) {
        auto known = std::find_if(manifest.programs.begin(), manifest.programs.end(),
                                  [&](const auto &one) { return one.first == entry.program; });
        if (known == manifest.programs.end()) {
            fail(OVENBIRD_PLAN_INVALID, where, " has an entry of program ", shown(entry.program), ", which is unknown");
        }
        std::vector<Size> sizes = known->second.image_sizes();
        if (!known->second.sizes.empty() && !std::count(sizes.begin(), sizes.end(), entry.size)) {
            std::string size = entry.size.empty() ? "any size" : size_text(entry.size);
            fail(OVENBIRD_PLAN_INVALID, where, " has an entry for images of ", size, ", the program takes ",
                 sizes_text(sizes));
        }
    }
    for (const auto &[name, program] : manifest.programs) {
        for (const Size &size : program.image_sizes()) {
            check_plan(plan, target.tensors, name, at(program, size), size, where);
        }
    }
    return plan;
}

std::vector<std::string> Artifact::read_labels(const std::string &name, std::optional<int64_t> count) const {
    std::string text = read(name, MAX_LABELS_BYTES);
    if (!is_utf8(text)) fail(OVENBIRD_FILE_CHANGED, name, " is not UTF-8 text");
    std::vector<std::string> labels = lines_of(text);
    int64_t found = static_cast<int64_t>(labels.size());
    if (!count && found > MAX_LABELS) {
        fail(OVENBIRD_LABELS_MISMATCH, name, " has ", found, " labels, limit ", MAX_LABELS);
    }
    if (count && found != *count) {
        fail(OVENBIRD_LABELS_MISMATCH, name, " has ", found, " labels, the network has ", *count, " classes");
    }
    return labels;
}

namespace {

std::string resolved(const std::string &path) {
    char buffer[PATH_MAX];
    if (!realpath(path.c_str(), buffer)) {
        if (errno == ENOENT || errno == ENOTDIR) {
            fail(OVENBIRD_ARTIFACT_NOT_FOUND,
                 shown(path), " is no artifact: it must be a folder that holds manifest.json");
        }
        fail(OVENBIRD_ARTIFACT_NOT_FOUND, shown(path), " is no artifact: ", reason(errno));
    }
    struct stat state;
    bool found = stat(buffer, &state) == 0;
    if (found && S_ISREG(state.st_mode)) {
        File file(open(buffer, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        if (file.descriptor() >= 0 && read_bundle(file)) return buffer;
    }
    if (!found || !S_ISDIR(state.st_mode)) {
        fail(OVENBIRD_ARTIFACT_NOT_FOUND,
             shown(path), " is no artifact: it must be a folder that holds manifest.json");
    }
    return buffer;
}

std::string read_manifest(const Root &root, const std::string &path) {
    try {
        return open_plain(root, "manifest.json").read_up_to(MAX_MANIFEST_BYTES, "manifest.json");
    } catch (const Error &error) {
        if (error.status != OVENBIRD_FILE_MISSING) throw;
        fail(OVENBIRD_ARTIFACT_NOT_FOUND, shown(path), " is no artifact: it has no readable manifest.json");
    }
}

Artifact open_at(const std::vector<PublicKey> &keys, Root root, const std::string &path) {
    Artifact artifact;
    artifact.root = std::move(root);
    std::string data = read_manifest(artifact.root, path);
    if (static_cast<int64_t>(data.size()) > MAX_MANIFEST_BYTES) {
        fail(OVENBIRD_FILE_CHANGED, "manifest.json has more than ", MAX_MANIFEST_BYTES, " bytes: it is no manifest");
    }
    if (!keys.empty()) artifact.signed_by = check_signature(artifact.root, data, keys);
    Sha256 hash;
    hash.update(data.data(), data.size());
    artifact.manifest_sha256 = hash.hex();
    artifact.manifest = decode_manifest(data);
    return artifact;
}

} // namespace

Artifact open_artifact(const std::string &path, const char *public_key) {
    std::vector<PublicKey> keys = required_keys(public_key);
    return open_at(keys, Root(resolved(path)), path);
}

Artifact open_embedded(std::string_view data, const char *public_key) {
    std::vector<PublicKey> keys = required_keys(public_key);
    if (!read_bundle(File(data))) {
        fail(OVENBIRD_ARTIFACT_NOT_FOUND, "these ", data.size(),
             " bytes are no artifact: `ovenbird bake --format c` makes them");
    }
    return open_at(keys, Root(data), "the artifact in memory");
}

} // namespace ob
