#!/usr/bin/env bash
# Runs ci/gitlab-ci.yml here with gitlab-ci-local, in its shell executor, without GitLab.
#
#     ci/steps/gitlab.sh                                      every job but the deployment, a manual one
#     ci/steps/gitlab.sh --variable TESTS=tests/contract      what gitlab-ci-local takes
#     ci/steps/gitlab.sh "compile: [x86-64-v3]" "bake: [x86-64-v3]"
#
# On a machine that reaches no image registry: --variable BASES=debian (then needs root).
set -euo pipefail
cd "$(dirname "$0")/../.."
ci/steps/pipeline_tools.sh
# One job at a time: in the shell executor they share this folder and its processors.
exec build/ci/node/node_modules/.bin/gitlab-ci-local --file ci/gitlab-ci.yml --shell-executor-no-image --concurrency 1 "$@"
