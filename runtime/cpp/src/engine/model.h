// A loaded artifact: checked, its code in memory, its weights and labels; shared by all sessions.
//
//     std::shared_ptr<const Model> model = load_model("artifacts/resnet50", {});
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "artifact/artifact.h"
#include "engine/elf_image.h"
#include "engine/kernel_abi.h"
#include "generation/wordpiece.h"
#include "ovenbird.h"

namespace ob {

struct LoadOptions {
    const char *public_key = nullptr;
    std::string target, precision;             // empty: the best that runs here
    std::vector<ovenbird_memory> weights = {}; // files that the caller has in memory, and keeps there unchanged
};

struct Model {
    Artifact artifact;
    VariantRef variant;
    Target target;
    Plan plan;
    std::unique_ptr<ElfImage> image;
    std::vector<std::vector<Kernel>> kernels;   // of each entry's calls
    std::vector<const unsigned char *> weights; // where each tensor of the target lies
    std::vector<Memory> files; // of weights that are not the caller's
    // Labels by program and output.
    std::vector<std::pair<std::pair<std::string, std::string>, std::vector<std::string>>> labels;
    WordPieces pieces; // of a model that writes text

    const std::vector<std::string> *labels_of(const std::string &program, const std::string &output) const;
};

// Everything is checked before code is loaded, by the bytes that are loaded. Throws ArtifactError, MachineError,
// EngineLoadFailed; PlanMissing where only TVM's virtual machine runs it.
std::shared_ptr<const Model> load_model(const std::string &path, const LoadOptions &options);

// The same of an artifact in memory, which may go when this returns.
std::shared_ptr<const Model> load_embedded(std::string_view data, const LoadOptions &options);

} // namespace ob
