# How buildah works where nothing else does: as root, in a machine without user namespaces, overlay mounts or runc.
# Sourced, never run. What is set already stays.
#
#     . ci/steps/buildah.sh

if [ "$(id -u)" = 0 ] && ! command -v runc >/dev/null 2>&1 && ! command -v crun >/dev/null 2>&1; then
    export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
    export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
fi
