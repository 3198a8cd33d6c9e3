#!/usr/bin/env bash
# Verifies the artifact of one target: against its framework where this machine runs its code, its files everywhere.
#
#     ci/steps/verify.sh TARGET           settings: ci/steps/pipeline.sh
#
# Exit code 0 where the artifact is what it says; for a processor that this machine is not, code is checked by its files'
# digests and its description alone (tests/container runs it, emulated).
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
cell_target "$@"
alone
need_compiler
artifact=$(artifact_of "$target")
[ -f "$artifact/manifest.json" ] || fail "NoArtifact: $artifact is not there; run ci/steps/compile.sh $target"

ovenbird inspect "$artifact"
"$python" ci/steps/check_files.py "$artifact" "$target"
if "$python" ci/steps/check_files.py "$artifact" "$target" --runs-here; then
    ovenbird verify "$artifact" ${WEIGHTS:+--weights "$WEIGHTS"}
    say "$target: verified against its framework"
else
    say "$target: this machine cannot run it; its files and description were checked"
fi
