#include "machine/variant.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/errors.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

void check_runs_here(const Target &target, const Machine &machine) {
    if (target.arch != machine.arch) {
        fail(OVENBIRD_WRONG_ARCHITECTURE, target.target, " is code for ", target.arch, ", this machine is ",
             machine.arch, ": compile with --target for it");
    }
    std::set<std::string> missing;
    for (const std::string &feature : target.cpu_features) {
        if (!machine.has(feature)) missing.insert(feature);
    }
    if (!missing.empty()) {
        std::vector<std::string> listed(missing.begin(), std::next(missing.begin(), std::min<long>(8, missing.size())));
        std::string more = missing.size() > 8 ? str(" and ", missing.size() - 8, " more") : "";
        fail(OVENBIRD_MISSING_CPU_FEATURES, target.target,
             " needs processor features that this machine lacks: ", join(listed, " "), more,
             "; compile with --target for it");
    }
    if (target.tvm != TVM_VERSION || target.tvm_ffi != TVM_FFI_VERSION) {
        fail(OVENBIRD_VERSION_MISMATCH, target.target, " was compiled with tvm ", shown(target.tvm), " and tvm-ffi ",
             shown(target.tvm_ffi), ", this runtime has ", TVM_VERSION, " and ", TVM_FFI_VERSION,
             ": compile again, or install the runtime of that version");
    }
}

namespace {

auto rank(const Target &target) {
    return std::make_tuple(-static_cast<int>(target.precision), target.vector_bits, target.cpu_features.size());
}

std::string describe(const Machine &machine, const std::vector<std::pair<VariantRef, Target>> &candidates) {
    std::set<std::string> had;
    for (const auto &[variant, target] : candidates) {
        for (const std::string &feature : target.cpu_features) {
            if (machine.has(feature)) had.insert(feature);
        }
    }
    std::string features = join({had.begin(), had.end()}, " ");
    return str(machine.arch, ", of the features asked for it has ", features.empty() ? "none" : features);
}

} // namespace

std::pair<VariantRef, Target> choose_variant(const Artifact &artifact, const Machine &machine, const std::string &name,
                                             const std::string &precision) {
    std::vector<std::string> held, with_precision;
    std::vector<std::pair<VariantRef, Target>> candidates;
    bool named = false;
    for (const VariantRef &variant : artifact.manifest.variants) {
        held.push_back(variant.name());
        with_precision.push_back(str(variant.name(), " (", precision_name(variant.precision), ")"));
        named = named || name.empty() || name == variant.target || name == variant.name();
    }
    if (!named) fail(OVENBIRD_WRONG_OPTION, "target is ", shown(name), ", the artifact holds ", join(held));
    std::vector<std::string> others;
    for (const VariantRef &variant : artifact.manifest.variants) {
        if (!name.empty() && name != variant.target && name != variant.name()) continue;
        if (!precision.empty() && precision != precision_name(variant.precision)) continue;
        Target target = artifact.read_target(variant);
        if (target.kind == "llvm") {
            candidates.emplace_back(variant, std::move(target));
        } else {
            others.push_back(str(target.target, " (", target.kind, ")"));
        }
    }
    if (candidates.empty() && others.empty()) {
        fail(OVENBIRD_WRONG_OPTION, "precision is ", shown(precision), ", the artifact holds ", join(with_precision));
    }
    if (candidates.empty()) {
        sort(others);
        fail(OVENBIRD_DEVICE_UNAVAILABLE, "the artifact has no code for device 'cpu', only ", join(others),
             ": compile with a target for it");
    }
    const std::pair<VariantRef, Target> *best = nullptr;
    std::vector<Error> reasons;
    for (const auto &candidate : candidates) {
        try {
            check_runs_here(candidate.second, machine);
            if (!best || rank(candidate.second) > rank(best->second)) best = &candidate;
        } catch (const Error &error) {
            reasons.push_back(error);
        }
    }
    if (best) return *best;
    if (reasons.size() == 1) throw reasons[0];
    std::vector<std::string> texts;
    for (const Error &error : reasons) texts.push_back(error.message);
    fail(OVENBIRD_NO_VARIANT, "no variant runs on this machine (", describe(machine, candidates),
         "): ", join(texts, "; "));
}

} // namespace ob
