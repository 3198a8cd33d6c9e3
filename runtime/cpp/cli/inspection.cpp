// What an artifact holds and what of it runs here, as JSON, found out without loading any of its code
// (`ovenbird_runtime/artifact/inspection.py`).
#include <algorithm>
#include <set>

#include "artifact/artifact.h"
#include "artifact/signatures.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "inspection.h"
#include "machine/machine.h"
#include "machine/variant.h"

namespace ob {

namespace {

Json texts(const std::vector<std::string> &values) {
    std::vector<Json> items;
    for (const std::string &value : values) items.push_back(json_of(value));
    return json_list(std::move(items));
}

// Commit, whether files differed from it, tool versions and options, of an in-toto statement with SLSA provenance.
Json read_origin(const Artifact &artifact) {
    static const std::string PROVENANCE = "provenance.json";
    if (!artifact.manifest.file(PROVENANCE)) return {};
    std::string data = artifact.read(PROVENANCE, MAX_PROVENANCE_BYTES);
    auto refuse = [] {
        fail(OVENBIRD_FILE_CHANGED, PROVENANCE,
             " is no in-toto statement with SLSA provenance: compile the artifact again");
    };
    Json statement;
    try {
        statement = parse_json(data, PROVENANCE);
    } catch (const Error &) {
        refuse();
    }
    auto at = [&](const Json *value, std::initializer_list<const char *> names) {
        for (const char *name : names) value = value ? value->find(name) : nullptr;
        if (!value) refuse();
        return value;
    };
    const Json *build = at(&statement, {"predicate", "buildDefinition"});
    JsonObject origin, versions;
    Json commit, modified = json_of(false);
    for (const Json &item : at(build, {"resolvedDependencies"})->items) {
        const Json *digest = item.find("digest"), *found = digest ? digest->find("gitCommit") : nullptr;
        if (!found || commit.kind != Json::Kind::Null) continue;
        commit = json_of(one_line(found->text));
        const Json *notes = item.find("annotations"), *changed = notes ? notes->find("modified") : nullptr;
        modified = json_of(changed && changed->kind == Json::Kind::Bool && changed->truth);
    }
    const Json *tools = at(&statement, {"predicate", "runDetails", "builder", "version"});
    for (size_t i = 0; i < tools->names.size(); ++i) {
        versions.add(one_line(tools->names[i]), json_of(one_line(tools->items[i].text)));
    }
    origin.add("commit", commit).add("modified", modified).add("versions", versions.done());
    return origin.add("options", *at(build, {"externalParameters"})).done();
}

Json plan_json(const std::optional<Plan> &plan) {
    if (!plan) return {};
    std::vector<Json> entries;
    for (const PlanEntry &entry : plan->entries) {
        JsonObject one;
        std::vector<Json> size;
        for (int64_t side : entry.size) size.push_back(json_of(side));
        one.add("program", entry.program).add("batch", entry.batch).add("size", json_list(std::move(size)));
        one.add("arena_bytes", entry.arena_bytes);
        entries.push_back(one.add("calls", static_cast<int64_t>(entry.calls.size())).done());
    }
    return json_list(std::move(entries));
}

Json batches_json(const Target &target, const Manifest &manifest) {
    JsonObject all;
    for (const auto &[name, program] : manifest.programs) {
        std::set<int64_t> found;
        for (const Entry &entry : target.entries) {
            if (entry.program == name) found.insert(entry.batch);
        }
        std::vector<Json> items;
        for (int64_t batch : found) items.push_back(json_of(batch));
        all.add(name, json_list(std::move(items)));
    }
    return all.done();
}

Json variant_json(const Artifact &artifact, const VariantRef &variant, const Machine &machine) {
    JsonObject one;
    Json runs = json_of(false), reason;
    JsonObject details;
    try {
        Target target = artifact.read_target(variant);
        int64_t weights = 0;
        for (const WeightTensor &tensor : target.tensors) weights += tensor.bytes();
        details.add("kind", target.kind).add("arch", target.arch).add("triple", target.triple);
        details.add("cpu_features", texts(target.cpu_features)).add("glibc", target.glibc).add("tvm", target.tvm);
        details.add("tvm_ffi", target.tvm_ffi).add("batches", batches_json(target, artifact.manifest));
        details.add("code_bytes", artifact.manifest.file(variant.path + "/model.so")->size);
        details.add("weight_bytes", weights).add("plan", plan_json(artifact.read_plan(variant, target)));
        check_runs_here(target, machine);
        if (target.kind != "llvm") {
            fail(OVENBIRD_DEVICE_UNAVAILABLE, target.target, " is code for a GPU: use ovenbird-rt");
        }
        runs = json_of(true);
    } catch (const Error &error) {
        reason = json_of(str(status_name(error.status), ": ", error.message));
    }
    one.add("name", variant.name()).add("target", variant.target).add("precision", precision_name(variant.precision));
    one.add("runs_here", runs).add("reason", reason);
    Json found = details.done();
    bool whole = found.find("plan") != nullptr;
    for (size_t i = 0; i < found.names.size() && whole; ++i) one.add(found.names[i], std::move(found.items[i]));
    return one.done();
}

Json chosen_json(const Artifact &artifact, const Machine &machine) {
    try {
        return json_of(choose_variant(artifact, machine, "", "").first.name());
    } catch (const Error &) {
        return {};
    }
}

} // namespace

Json inspect_artifact(const std::string &path, const char *public_key) {
    Artifact artifact = open_artifact(path, public_key);
    const Manifest &manifest = artifact.manifest;
    Machine machine = this_machine();
    auto field = [&](const char *name) { return *manifest.source.find(name); };
    JsonObject found, here;
    found.add("path", artifact.root.path).add("schema_version", field("schema_version")).add("digest", manifest.digest);
    found.add("signatures", texts(signers(artifact.root)));
    found.add("signed_by", artifact.signed_by ? json_of(*artifact.signed_by) : Json{});
    found.add("provenance", read_origin(artifact)).add("model", field("model"));
    Json programs = field("programs");
    found.add("programs", programs);
    if (programs.items.size() == 1) {
        const Json &only = programs.items[0];
        for (size_t i = 0; i < only.names.size(); ++i) found.add(only.names[i], only.items[i]);
    }
    found.add("parity", field("parity")).add("tuning", field("tuning")).add("chosen", chosen_json(artifact, machine));
    std::vector<Json> variants;
    int64_t bytes = 0;
    for (const VariantRef &variant : manifest.variants) variants.push_back(variant_json(artifact, variant, machine));
    for (const auto &[name, record] : manifest.files) bytes += record.size;
    found.add("variants", json_list(std::move(variants)));
    found.add("files", static_cast<int64_t>(manifest.files.size())).add("bytes", bytes);
    here.add("arch", machine.arch).add("glibc", glibc_version());
    here.add("threads", static_cast<int64_t>(available_threads()));
    return found.add("machine", here.done()).done();
}

} // namespace ob
