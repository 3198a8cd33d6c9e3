#pragma once

#include "base/json.h"

namespace ob {

// What `ovenbird-rt inspect --json` prints. Throws ArtifactError where the manifest cannot be read, and as
// `open_artifact` does where a signature is required.
Json inspect_artifact(const std::string &path, const char *public_key);

} // namespace ob
