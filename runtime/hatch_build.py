"""Take TVM's runtime library from the pinned apache-tvm wheel while the runtime's wheel is built.

    pip install ./runtime                                           # for this machine
    OVENBIRD_RUNTIME_ARCH=aarch64 pip wheel --no-deps ./runtime     # for another
    OVENBIRD_TVM_WHEEL=apache_tvm-...whl pip install ./runtime      # fetches nothing
    python runtime/hatch_build.py                                   # only fill ovenbird_runtime/lib/ in a checkout

The wheel and each library are checked by sha256. What is already in `ovenbird_runtime/lib/` with the right
digests is used again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import runpy
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run as a program
    BuildHookInterface = object

HERE = Path(__file__).resolve().parent
LIBRARIES = HERE / "ovenbird_runtime" / "lib"
VERSION = runpy.run_path(str(HERE / "ovenbird_runtime" / "machine" / "versions.py"))["TVM_VERSION"]
PLATFORM = "manylinux_2_27_{arch}.manylinux_2_28_{arch}"  # TVM's own

# Change these together with versions.py: `pip download --no-deps apache-tvm==VERSION`, then sha256sum.
WHEELS = {
    "x86_64": "f503fc903b6e16fda5daacac6698ecb8bc38937f57da7aa29f6c7ab169d08657",
    "aarch64": "4acfdb7653e4e1ba7a707bdf2833db72eb8fda7d04d99141f2a4e1da43171fb7",
}
FILES = {
    "x86_64": {
        "libtvm_runtime.so": "43544bbeaea3cd3ffa919f7eac77244753aff28d1440c42f1ba8df03fa6e3948",
        "libtvm_runtime_extra.so": "12a6fc3e6f1e50ae105d0b580c2ecddbac23473fa906f1fdc92693eae5bc22eb",
        "libtvm_runtime_cuda.so": "38782fe727adf51a82fa93de2a003044e16cd421564864a340dbd7f341215ffe",
    },
    "aarch64": {
        "libtvm_runtime.so": "ba06950fac134b8d71549111fad2c6605cd6f738061fe0482f217c37ccbdff05",
        "libtvm_runtime_extra.so": "741979814c4028d536a8a8ed1b9a6306ab23812ab3853803e5146cdde5778dcf",
        "libtvm_runtime_cuda.so": "c277ef1b0b4afef83d0fa99f50b7ea72632c64a7020ce7ce887d225de13266e6",
    },
}
NOTICES = {"tvm/LICENSE": "LICENSE.tvm", "tvm/NOTICE": "NOTICE.tvm"}


class BuildError(Exception):
    """The library cannot be had; the message says why and what to do."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]  # hatchling is not part of the checked environment
    """Hatchling's hook: fill the folder of libraries, put it into the wheel, and tag the wheel for its platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before the wheel is written; `version` is "standard" or "editable"."""
        arch = wanted_arch()
        folder = LIBRARIES
        if arch != machine_arch() or not os.access(HERE / "ovenbird_runtime", os.W_OK):
            # Another machine's libraries must not take the place of ours in the checkout.
            self._temporary = tempfile.TemporaryDirectory(prefix="ovenbird-lib-")
            folder = Path(self._temporary.name)
        fill(folder, arch)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{PLATFORM.format(arch=arch)}"
        if version != "editable":
            for name in (*FILES[arch], *NOTICES.values()):
                build_data["force_include"][str(folder / name)] = f"ovenbird_runtime/lib/{name}"


def machine_arch() -> str:
    """Return this machine's architecture as wheels spell it."""
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())


def wanted_arch() -> str:
    """Return the architecture to build for. Raises BuildError for one that TVM has no wheel for."""
    arch = os.environ.get("OVENBIRD_RUNTIME_ARCH") or machine_arch()
    if arch not in WHEELS or not sys.platform.startswith("linux"):
        raise BuildError(f"UnknownArch: {arch} on {sys.platform}; Linux on one of {', '.join(WHEELS)}")
    return arch


def fill(folder: Path, arch: str) -> None:
    """Put the libraries and TVM's licence into `folder`, unless they are there. Raises BuildError."""
    wanted = FILES[arch]
    if all(digest(folder / name) == wanted[name] for name in wanted) and all(
        (folder / name).is_file() for name in NOTICES.values()
    ):
        return
    given = os.environ.get("OVENBIRD_TVM_WHEEL")
    if given:
        extract(Path(given), folder, arch)
        return
    with tempfile.TemporaryDirectory(prefix="ovenbird-tvm-") as temporary:
        extract(download(Path(temporary), arch), folder, arch)


def download(folder: Path, arch: str) -> Path:
    """Fetch the pinned wheel with pip, from whatever index pip is configured for. Raises BuildError."""
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in (27, 28)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += [argument for name in platforms for argument in ("--platform", name)]
    command += ["--dest", str(folder), f"apache-tvm=={VERSION}"]
    if subprocess.run(command, check=False).returncode != 0:
        raise BuildError(
            f"NoWheel: pip could not fetch apache-tvm=={VERSION} for {arch} (its message is above); "
            "configure pip's index, or set OVENBIRD_TVM_WHEEL to a file"
        )
    return next(folder.glob("apache_tvm-*.whl"))


def extract(wheel: Path, folder: Path, arch: str) -> None:
    """Check the wheel and take the libraries out of it. Raises BuildError."""
    found = digest(wheel)
    if found != WHEELS[arch]:
        raise BuildError(f"WrongWheel: {wheel.name} has sha256 {found}, expected {WHEELS[arch]} for {arch}")
    folder.mkdir(parents=True, exist_ok=True)
    members = {f"tvm/lib/{name}": name for name in FILES[arch]} | NOTICES
    with zipfile.ZipFile(wheel) as archive:
        for member, name in members.items():
            # Written under another name, then renamed: a process that has the old file mapped keeps it whole.
            partial = folder / f"{name}.{os.getpid()}.part"
            partial.write_bytes(archive.read(member))
            partial.chmod(0o755 if name.endswith(".so") else 0o644)
            partial.replace(folder / name)
    for name, expected in FILES[arch].items():
        if digest(folder / name) != expected:
            raise BuildError(
                f"WrongLibrary: {name} from {wheel.name} has sha256 {digest(folder / name)}, expected {expected}"
            )


def digest(path: Path) -> str:
    """Return a file's sha256, or "" where there is none."""
    if not path.is_file():
        return ""
    result = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            result.update(chunk)
    return result.hexdigest()


if __name__ == "__main__":
    try:
        fill(LIBRARIES, wanted_arch())
    except BuildError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{LIBRARIES} holds TVM {VERSION}'s runtime\n")
