#!/usr/bin/env bash
# Runs ci/Jenkinsfile's own steps here, without Jenkins; see ci/steps/jenkins.groovy for what it takes.
#
#     ci/steps/jenkins.sh --list
#     ci/steps/jenkins.sh --to bake --set MODEL=efficientnet-lite0 --set BASES=debian
#
# JENKINSFILE=file reads another one. Groovy comes with ci/steps/pipeline_tools.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
command -v java >/dev/null 2>&1 || fail "NoTool: java is not installed (Debian: apt-get install default-jre-headless)"
ci/steps/pipeline_tools.sh
exec java -cp 'build/ci/node/node_modules/npm-groovy-lint/lib/java/groovy/lib/*' groovy.ui.GroovyMain \
    ci/steps/jenkins.groovy "${JENKINSFILE:-ci/Jenkinsfile}" "$@"
