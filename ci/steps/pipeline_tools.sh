#!/usr/bin/env bash
# Installs what runs the pipelines without GitLab and Jenkins into build/ci/node: gitlab-ci-local (with Debian's rsync), and
# npm-groovy-lint, whose jars parse and lint the Jenkinsfile (with Java 17). Needs Node.js 20, and root where rsync is missing.
#
#     ci/steps/pipeline_tools.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
command -v npm >/dev/null 2>&1 || fail "NoTool: npm is not installed (Debian: apt-get install npm)"
command -v rsync >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq --no-install-recommends rsync >/dev/null; }
folder=build/ci/node
cmp -s ci/package.json "$folder/package.json" && [ -x "$folder/node_modules/.bin/gitlab-ci-local" ] && exit
mkdir -p "$folder"
cp ci/package.json "$folder/"
npm install --prefix "$folder" --no-fund --no-audit --silent \
    || { rm "$folder/package.json"; fail "InstallFailed: npm could not install ci/package.json (its message is above)"; }
