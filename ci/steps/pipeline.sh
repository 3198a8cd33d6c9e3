# What the steps of a pipeline share: their settings, their folders, and the key of what they make. Sourced, never run.
#
#     . ci/steps/pipeline.sh
#     key=$(artifact_key x86-64-v3)
#
# MODEL=efficientnet-lite0    what `ovenbird compile` takes        WEIGHTS=   its --weights
# BATCH_SIZES=1               batch sizes                          TRIALS=0   tune so many trials first (kept in the cache)
# TARGETS=                    only these targets of the matrix, separated by spaces; empty is all of them
# BASES=registry              or `debian`: bases of Debian packages, where no image registry is reached
# REGISTRY=                   where images are pushed, as host:port/group; nothing is pushed without
# SIGNING_KEY=                a file with the private key that signs each artifact before it is baked (ovenbird keygen)
#
# A step makes nothing twice: what it made lies in build/ci/cache under the digest of everything that it depends on, so a
# change of the compiler makes new artifacts and images, and a change of a page makes none.

. ci/steps/common.sh
. ci/steps/buildah.sh
export TARGETS=${TARGETS:-}
export MODEL=${MODEL:-efficientnet-lite0} WEIGHTS=${WEIGHTS:-} BATCH_SIZES=${BATCH_SIZES:-1}
export TRIALS=${TRIALS:-0} BASES=${BASES:-registry} REGISTRY=${REGISTRY:-} SIGNING_KEY=${SIGNING_KEY:-}
work=build/ci
# The model's name in images and Kubernetes: lower case, dashes, none at an end.
name=$(printf '%s\n' "$MODEL" | tr -c 'a-zA-Z0-9\n' '-' | tr 'A-Z' 'a-z' | sed 's/^-*//; s/-*$//')
ovenbird() { "$python" -m ovenbird "$@"; }
python=${VENV:-.venv}/bin/python

artifact_of() { echo "$work/artifacts/$1"; }     # the folder of a target's artifact
archive_of() { echo "$work/images/$1.tar"; }     # its image, as docker-archive
tuning_of() { echo "$work/cache/$1/tuning/$name"; }

# digest_of PATH...: one digest of the names and contents of the files there; what tools leave behind does not count.
digest_of() {
    find "$@" -type f ! -path '*/__pycache__/*' ! -path '*/ovenbird_runtime/lib/*' ! -path '*.egg-info/*' \
        ! -name '*.pyc' ! -name .lock 2>/dev/null | LC_ALL=C sort | xargs -r -d '\n' sha256sum | sha256sum | cut -d' ' -f1
}

# artifact_key TARGET: of everything that decides an artifact's bytes.
artifact_key() {
    local target=$1 own=()
    [ -d "tuning_logs/$target" ] && own+=("tuning_logs/$target")
    [ -d "$(tuning_of "$target")" ] && own+=("$(tuning_of "$target")")
    [ -f "$WEIGHTS" ] && own+=("$WEIGHTS")
    {
        echo "$target $MODEL $WEIGHTS $BATCH_SIZES $TRIALS"
        digest_of compile runtime "targets/$target/target.toml" pyproject.toml ci/constraints.txt "${own[@]}"
        # this target is the machine itself
        [ "$target" != host ] || grep -E '^(model name|flags|Features)' /proc/cpuinfo | sort -u
    } | sha256sum | cut -d' ' -f1
}

# image_key TARGET: of everything that decides an image.
image_key() {
    {
        artifact_key "$1"
        echo "$BASES ${RELEASE:-} ${BASE:-} ${TOOLS_BASE:-}"
        digest_of ci/steps/base_image.sh ci/steps/bake.sh
        [ -z "$SIGNING_KEY" ] || sha256sum <"$SIGNING_KEY"
    } | sha256sum | cut -d' ' -f1
}

# field_of TARGET FIELD: a field of its target.toml, or nothing.
field_of() { sed -n "s/^$2 *= *\"\(.*\)\".*/\1/p" "targets/$1/target.toml" | head -n 1; }

# arch_of TARGET: amd64 or arm64.
arch_of() {
    local arch
    arch=$(field_of "$1" arch)
    case ${arch:-$(uname -m)} in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) fail "UnknownArch: target $1 is for '$arch'; expected x86_64 or aarch64" ;;
    esac
}

# keep KEY FILE|FOLDER... : put results into the target's cache; the newest three keys stay.
keep() {
    local place=$1
    shift
    mkdir -p "$place.partial"
    cp -r "$@" "$place.partial/"
    rm -rf "$place"
    mv "$place.partial" "$place"
    ls -dt "$(dirname "$place")"/*/ | tail -n +4 | xargs -r rm -rf
}

need_target() { # need_target ARGUMENTS...: sets $target, or says what is expected
    target=${1:-${TARGET:-}}
    known_target "$target"
}

known_target() {
    [[ $1 =~ ^[a-z0-9][a-z0-9._-]*$ ]] && [ -f "targets/$1/target.toml" ] \
        || fail "UnknownTarget: '$1' is no folder of targets/; one of $(ls targets | tr '\n' ' ')"
}

# cell_target ARGUMENTS...: as need_target, for a cell of the matrix; ends the step where $TARGETS leaves the target out.
cell_target() {
    local one wanted
    need_target "$@"
    read -r -d '' -a wanted <<<"$TARGETS" || true # words, of which none is a pattern
    [ ${#wanted[@]} -gt 0 ] || return 0
    for one in "${wanted[@]}"; do known_target "$one"; done
    case " ${wanted[*]} " in
        *" $target "*) ;;
        *)
            say "$target: left out, TARGETS is $TARGETS"
            exit 0
            ;;
    esac
}

# alone: waits for other cells in this folder, which share its environment, its processors and Debian's packages.
alone() {
    mkdir -p "$work"
    exec 9>"$work/.lock"
    flock --nonblock 9 || { say "$target: waiting for another step in this folder"; flock 9; }
}

# need_compiler: .venv with the compiler, unless $VENV names another one.
need_compiler() { [ -n "${VENV:-}" ] || ci/steps/setup.sh compiler; }
