#!/usr/bin/env bash
# Starts JupyterLab on the notebooks: in the environment .venv, or in a container that holds all that they need.
#
#     ci/steps/notebook.sh                       sets .venv up, starts there
#     ci/steps/notebook.sh container             builds the image ovenbird/notebook, starts it: http://127.0.0.1:8888
#     ci/steps/notebook.sh container execute classifier.ipynb      runs a notebook in it, and ends
#
# The container is docker's, podman's or buildah's. BASE=IMAGE is what it stands on (python:3.12), with Python, a C++
# compiler and pip; BASES=debian makes one of Debian's packages, where no registry is reached. PORT=8888.
# BUILD_OPTIONS are more options of the builder, as words.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
image=ovenbird/notebook

find_builder() {
    local name
    for name in docker podman buildah; do
        "$name" info >/dev/null 2>&1 && echo "$name" && return
    done
    fail "NoBuilder: neither docker, podman nor buildah works here; start one's engine, or install one" \
        "(Debian: apt-get install buildah)"
}

build() ( # in a shell of its own, whose end removes the folder
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    mkdir "$context/files" "$context/settings"
    # What git knows, as it stands here: no environment, no artifact.
    git ls-files -z | tar --create --exclude=.dockerignore --ignore-failed-read --null --files-from=- \
        | tar --extract --directory "$context/files"
    mapfile -t secrets < <("$(find_python)" compile/ovenbird/baking/pip_settings.py "$context/settings")
    read -ra options <<<"${BUILD_OPTIONS:-}"
    say "building $image with $builder (torch and TVM: 0.3 to 3 GB to fetch, some minutes)"
    DOCKER_BUILDKIT=1 "$builder" build --file notebooks/Containerfile --tag "$image" "${secrets[@]}" \
        ${base:+--build-arg "BASE=$base"} "${options[@]}" "$context/files" \
        || fail "BuildFailed: $builder could not build $image (its message is above)"
)

start() {
    local port=${PORT:-8888} container
    if [ "$builder" = buildah ]; then # it publishes no ports: JupyterLab is on the machine's own
        [ $# -gt 0 ] || set -- lab --ip=127.0.0.1 --port="$port" --no-browser
        container=$(buildah from --pull-never "$image")
        # shellcheck disable=SC2064 # the container's name of now
        trap "buildah rm $container >/dev/null" EXIT
        buildah run "$container" -- /ovenbird/.venv/bin/jupyter "$@"
    else
        "$builder" run --rm --init --publish "127.0.0.1:$port:8888" "$image" "$@"
    fi
}

case ${1:-} in
    "")
        ci/steps/setup.sh notebook
        root=() # JupyterLab asks for it in so many words
        [ "$(id -u)" != 0 ] || root=(--allow-root)
        cd notebooks && exec ../.venv/bin/jupyter lab "${root[@]}"
        ;;
    container)
        shift
        . ci/steps/buildah.sh
        base=${BASE:-}
        if [ "${BASES:-registry}" = debian ]; then
            ci/steps/containers.sh
            case $(uname -m) in x86_64) arch=amd64 ;; *) arch=arm64 ;; esac
            base=$(ci/steps/base_image.sh "$arch" tools)
        fi
        builder=$(find_builder)
        build
        start "$@"
        ;;
    *) fail "UnknownPlace: '$1'; container, or nothing" ;;
esac
