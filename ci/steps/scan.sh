#!/usr/bin/env bash
# Looks into the image of one target: its settings, its files, its SBOM; and asks a scanner, where one is installed.
#
#     ci/steps/scan.sh TARGET             settings: ci/steps/pipeline.sh; FAIL_ON=high
#
# trivy or grype, whichever is in PATH, fails the step on vulnerabilities of $FAIL_ON or worse that have a fix.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
cell_target "$@"
python=$(find_python)
archive=$(archive_of "$target")
[ -f "$archive" ] || fail "NoImage: $archive is not there; run ci/steps/bake.sh $target"

"$python" ci/steps/scan_image.py "$archive" --sbom "${archive%.tar}.cdx.json"
severity=${FAIL_ON:-high}
if command -v trivy >/dev/null 2>&1; then
    trivy image --input "$archive" --exit-code 1 --ignore-unfixed \
        --severity "$([ "$severity" = critical ] && echo CRITICAL || echo HIGH,CRITICAL)"
elif command -v grype >/dev/null 2>&1; then
    grype "docker-archive:$archive" --only-fixed --fail-on "$severity"
else
    say "$target: neither trivy nor grype is installed: vulnerabilities were not looked up"
fi
