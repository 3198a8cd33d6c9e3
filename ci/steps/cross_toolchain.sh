#!/bin/sh
# Installs the cross linker for the targets of the other architecture, where it is not there yet (Debian; as root).
#
#     ci/steps/cross_toolchain.sh
#
# Elsewhere `pip install ziglang` does as well: every target of another architecture names it as its last linker.
set -eu
cd "$(dirname "$0")/../.."
. ci/steps/common.sh

case $(uname -m) in
    x86_64) other=aarch64 package=g++-aarch64-linux-gnu ;;
    aarch64) other=x86_64 package=g++-x86-64-linux-gnu ;;
    *) fail "UnknownMachine: $(uname -m), known are x86_64 and aarch64" ;;
esac
if command -v "$other-linux-gnu-g++" >/dev/null 2>&1; then
    say "$other-linux-gnu-g++ is there"
    exit 0
fi
command -v apt-get >/dev/null 2>&1 || fail "NoApt: this step needs apt-get; or: pip install ziglang"
say "installing $package"
apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 \
    || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$package" >/dev/null; } \
    || fail "InstallFailed: apt-get install $package; its message is above"
say "$other-linux-gnu-g++ is ready"
