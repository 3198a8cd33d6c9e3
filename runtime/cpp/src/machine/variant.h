// Chooses the variant of an artifact that this machine can run; what would end in SIGILL is refused here
// (`ovenbird_runtime/artifact/variant.py`).
#pragma once

#include <string>
#include <utility>

#include "artifact/artifact.h"
#include "machine/machine.h"

namespace ob {

// Throws WrongArchitecture, MissingCpuFeatures, VersionMismatch. The C library does not matter: code gets its few
// functions from this runtime.
void check_runs_here(const Target &target, const Machine &machine);

// The best that runs here, of those for the target `name` and of `precision` where they are not empty: the most exact,
// then the one with the widest vectors, then the one that asks for the most features. Throws WrongOption,
// DeviceUnavailable, NoVariant, and a single variant's own reason.
std::pair<VariantRef, Target> choose_variant(const Artifact &artifact, const Machine &machine, const std::string &name,
                                             const std::string &precision);

} // namespace ob
