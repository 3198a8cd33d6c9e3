#!/usr/bin/env bash
# Prints the keys of what a pipeline makes for a target: two lines, `artifact DIGEST` and `image DIGEST`. A result is made
# again exactly when its key has changed.
#
#     ci/steps/key.sh TARGET
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
need_target "$@"
echo "artifact $(artifact_key "$target")"
echo "image $(image_key "$target")"
