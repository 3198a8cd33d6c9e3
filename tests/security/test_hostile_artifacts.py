"""Artifacts made to do harm end in an answer or in one line with a type: in the library and in every command."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import ovenbird_runtime
from ovenbird_runtime.artifact.golden import read_golden
from ovenbird_runtime.cli import main
from ovenbird_runtime.errors import FileChanged, InputUnreadable, OvenbirdError
from ovenbird_runtime.serve.models.deployment import Deployment
from ovenbird_runtime.serve.settings import ModelSource, Settings
from ovenbird_runtime.tensors.tensors import read_tensors
from support.hostile import GOLDEN_FILES, HOSTILE, npy, npz, packed
from support.pictures import encoded

# Sound as files; what they hold is not for the network.
SOUND_FILES = {
    "other names", "names that lead out", "another shape", "no rows", "no outputs", "outputs of another shape",
    "outputs without a shape", "outputs of integers", "outputs of NaN", "outputs of 1e38",
}  # fmt: skip
IMAGE = np.zeros((2, 3, 32, 32), np.float32)


def one_line_with_a_type(result: Result) -> bool:
    """Return whether a command ended well, or with exit code 1 and one printable line that names an error."""
    if result.exit_code == 0:
        return all(line.isprintable() for line in result.stdout.splitlines())
    lines = [line for line in result.stderr.splitlines() if not line.startswith("RANDOM WEIGHTS")]
    return (
        isinstance(result.exception, SystemExit)
        and result.exit_code == 1
        and len(lines) == 1
        and lines[0].startswith("error: ")
        and not lines[0].startswith("error: internal")
        and lines[0].isprintable()
    )


@pytest.fixture(params=sorted(HOSTILE))
def hostile(request: pytest.FixtureRequest, spoilt: Path) -> Path:
    HOSTILE[request.param](spoilt)
    return spoilt


def test_the_library_and_the_server(hostile: Path) -> None:
    with contextlib.suppress(OvenbirdError), ovenbird_runtime.load(hostile, threads=1) as model:
        model.run({spec.name: IMAGE for spec in model.inputs})
        model.predict(np.zeros((40, 50, 3), np.uint8))
    with contextlib.suppress(OvenbirdError):
        Deployment.prepare(ModelSource(None, hostile), Settings(artifacts=(), threads=1)).model.close()


@pytest.mark.parametrize("command", ["run", "inspect", "inspect --json", "selftest", "bench --seconds 0.1", "copy"])
def test_the_runtime_s_commands(hostile: Path, tmp_path: Path, command: str) -> None:
    name, *options = command.split()
    (tmp_path / "a.jpg").write_bytes(encoded())
    more = {"run": [str(tmp_path / "a.jpg")], "copy": [str(tmp_path / "copy")]}.get(name, [])
    result = CliRunner().invoke(main, [name, str(hostile), *more, *options])
    assert one_line_with_a_type(result), (result.exception, result.stderr, result.stdout)


@pytest.mark.parametrize("name", [name for name in HOSTILE if not name.startswith("golden: ")])
def test_what_must_be_refused(spoilt: Path, name: str) -> None:
    """All of these, but for what is odd and harmless."""
    HOSTILE[name](spoilt)
    if name in ("escapes for a terminal", "labels with escapes"):
        ovenbird_runtime.load(spoilt, threads=1).close()
        return
    with pytest.raises(OvenbirdError):
        ovenbird_runtime.load(spoilt, threads=1)


@pytest.mark.parametrize("name", sorted(GOLDEN_FILES))
def test_hostile_golden_arrays_are_refused(name: str) -> None:
    if name in SOUND_FILES:
        read_golden(GOLDEN_FILES[name])
        return
    with pytest.raises(FileChanged, match="cannot be read"):
        read_golden(GOLDEN_FILES[name])


@pytest.mark.parametrize("name", sorted(GOLDEN_FILES))
def test_tensors_for_run(spoilt: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "in.npz").write_bytes(GOLDEN_FILES[name])
    result = CliRunner().invoke(
        main, ["run", str(spoilt), "--inputs", str(tmp_path / "in.npz"), "--outputs", str(tmp_path / "out.npz")]
    )
    assert result.exit_code == 1
    assert one_line_with_a_type(result), (result.exception, result.stderr)


def test_tensors_that_numpy_wrote(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "a": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "none": np.zeros((0, 3)),
        "one": np.array(True),
        "half": np.float16([1.5]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "t.npz", **arrays)
        found = read_tensors(tmp_path / "t.npz")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    (tmp_path / "t.npz").write_bytes(npz({"a.npy": npy("(4,)", version=2)}))
    assert read_tensors(tmp_path / "t.npz")["a"].shape == (4,)
    with pytest.raises(InputUnreadable, match="No such file"):
        read_tensors(tmp_path / "nowhere.npz")


def test_small_files_take_little_memory(spoilt: Path, tmp_path: Path) -> None:
    """Under `ulimit -v` with 40 MB to spare: a picture, golden outputs, a manifest; whose limits are 128, 256 and 4."""
    (tmp_path / "a.jpg").write_bytes(encoded())
    code = f"""
import resource, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
import numpy
from PIL import Image
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.artifact.golden import GOLDEN, read_golden
from ovenbird_runtime.preprocess.images import open_image
from ovenbird_runtime.limits import MAX_GOLDEN_BYTES
open_image(sys.argv[2])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), used + (40 << 20)))
artifact = open_artifact(sys.argv[1])
print(len(read_golden(artifact.read(GOLDEN, MAX_GOLDEN_BYTES))), open_image(sys.argv[2]).size)
"""
    command = [sys.executable, "-c", code, str(spoilt), str(tmp_path / "a.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 (")


def test_what_promises_much_takes_little(tmp_path: Path) -> None:
    """200 bytes that promise petabytes, read with 100 MB to spare."""
    (tmp_path / "golden.npz").write_bytes(packed(npy(f"({2**27},)")))
    code = f"""
import resource, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
import numpy
from ovenbird_runtime.errors import FileChanged
from ovenbird_runtime.artifact.golden import read_golden
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), used + (100 << 20)))
try:
    read_golden(open(sys.argv[1], "rb").read())
except FileChanged as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "golden.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "says that it holds 536870912 bytes" in done.stdout, done.stderr
