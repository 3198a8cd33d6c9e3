"""`model.so` is loaded from the bytes that were checked, whatever its name means by then."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.signing import Signer

MARKING = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void mark(void) {
    FILE *file = fopen(getenv("MARK"), "w");
    if (file) fclose(file);
}
"""

# Swap the library for another one at the n-th time that somebody opens or closes it: inotify(7) tells at once.
RACE = """
import ctypes, os, struct, sys, threading
artifact, other, turn, key = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
library = artifact + "/targets/tiny/model.so"
os.environ["OVENBIRD_REQUIRE_SIGNATURE"] = key
IN_OPEN, IN_CLOSE = 0x20, 0x10
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(0)
assert libc.inotify_add_watch(watch, library.encode(), IN_OPEN | IN_CLOSE) > 0
swapped = threading.Event()

def swap():
    seen = 0
    while True:
        seen += len(os.read(watch, 16)) // 16  # one event without a name at a time
        if seen == turn:
            os.replace(other, library)
            swapped.set()
            return

threading.Thread(target=swap, daemon=True).start()
import ovenbird_runtime
try:
    ovenbird_runtime.load(artifact, threads=1).close()
    print("loaded", swapped.is_set())
except ovenbird_runtime.OvenbirdError as error:
    print(type(error).__name__, swapped.is_set())
"""


@pytest.fixture
def marking(tmp_path: Path) -> Path:
    """A library that leaves a file where $MARK says as soon as it is loaded."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    source, library = tmp_path / "marking.c", tmp_path / "marking.so"
    source.write_text(MARKING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def run(code: str, *arguments: object, mark: Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    whole = f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{code}"
    command = [*prefix, sys.executable, "-c", whole, *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | {"MARK": str(mark)}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("turn", range(1, 7))
def test_a_library_that_is_swapped_between_check_and_load(
    spoilt: Path, tmp_path: Path, marking: Path, turn: int
) -> None:
    signer, mark = Signer(1), tmp_path / "ran"
    signer.sign(spoilt)
    other = tmp_path / "other.so"
    shutil.copy(marking, other)
    done = run(RACE, spoilt, other, turn, signer.public_file(tmp_path), mark=mark)
    assert done.returncode == 0, done.stderr
    assert not mark.exists(), "unsigned code ran"
    assert done.stdout.split()[0] in ("loaded", "FileChanged"), done.stdout
    if turn <= 2:
        assert done.stdout.split()[1] == "True", "it was never swapped"


def test_another_library_of_the_same_name(spoilt: Path, tmp_path: Path, marking: Path) -> None:
    """dlopen knows libraries by their path: a second load of a folder is not to get the first one's code."""
    code = """
import os, shutil, sys
from pathlib import Path
import ovenbird_runtime
sys.path.append(sys.argv[3])
from support.tiny_artifact import reseal
artifact = Path(sys.argv[1])
ovenbird_runtime.load(artifact, threads=1).close()
os.replace(sys.argv[2], artifact / "targets/tiny/model.so")
reseal(artifact)
try:
    ovenbird_runtime.load(artifact, threads=1)
except ovenbird_runtime.EngineError:
    print(os.path.exists(os.environ["MARK"]))
"""
    mark = tmp_path / "ran"
    done = run(code, spoilt, marking, Path(__file__).parents[3], mark=mark)
    assert done.stdout == "True\n", done.stderr


def test_where_nothing_may_run(spoilt: Path, tmp_path: Path) -> None:
    """A file system that is mounted noexec holds the artifact, and it runs."""
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    folder = tmp_path / "noexec"
    folder.mkdir()
    script = 'mount -t tmpfs -o noexec tmpfs "$1" && cp -r "$2" "$1/artifact" && shift 2 && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh", str(folder), str(spoilt))
    code = "import sys, ovenbird_runtime\novenbird_runtime.load(sys.argv[1], threads=1).close()\nprint('loaded')"
    done = run(code, folder / "artifact", mark=tmp_path / "ran", prefix=prefix)
    if "mount:" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no file systems of our own here: {done.stderr.splitlines()[0]}")
    assert done.stdout == "loaded\n", done.stderr


def test_where_a_sandbox_refuses_anonymous_files(spoilt: Path, tmp_path: Path) -> None:
    """They lie in the temporary folder then, without a name."""
    code = """
import ctypes, os, sys
import ovenbird_runtime.integrity.sealed as sealed
class Refusing:
    def __init__(self, *arguments, **options): pass
    memfd_create = staticmethod(lambda *arguments: -1)
sealed.ctypes.CDLL, kept = Refusing, ctypes.CDLL
with open(sys.argv[1] + "/labels.txt", "rb") as file:
    copy = sealed.SealedFile(file.fileno(), "labels.txt")
print(os.readlink(f"/proc/self/fd/{copy.descriptor}").startswith(os.environ["TMPDIR"]))
print(os.pread(copy.descriptor, 100, 0) == open(sys.argv[1] + "/labels.txt", "rb").read())
library = os.open(sys.argv[1] + "/targets/tiny/model.so", os.O_RDONLY)
library = sealed.SealedFile(library, "model.so")
ctypes.CDLL = kept
from ovenbird_runtime.engine.ffi import import_ffi
from ovenbird_runtime.engine.libraries import load_library
print(load_library(import_ffi(), library)["vm_load_executable"] is not None, os.listdir(os.environ["TMPDIR"]))
"""
    (tmp_path / "temporary").mkdir()
    prefix = ("env", f"TMPDIR={tmp_path / 'temporary'}")
    done = run(code, spoilt, mark=tmp_path / "ran", prefix=prefix)
    assert done.stdout == "True\nTrue\nTrue []\n", done.stderr
