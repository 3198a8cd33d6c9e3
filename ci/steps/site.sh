#!/usr/bin/env bash
# Builds docs/ as a site into build/site; a link to nowhere, or to a heading that there is not, is an error.
# Uses $VENV (default .venv).    ci/steps/site.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
export DISABLE_MKDOCS_2_WARNING=true NO_MKDOCS_2_WARNING=true
"${VENV:-.venv}/bin/python" -m mkdocs build --strict --clean \
    || fail "SiteFailed: mkdocs found the faults above; mend the links, or install it: pip install '.[site]'"
say "build/site: $(find build/site -name '*.html' | wc -l) pages"
