"""Weights are mapped read-only, and two processes share their pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ovenbird_runtime.errors import FileMissing
from ovenbird_runtime.integrity.weights import MappedFile
from support.tiny_artifact import reseal

MB = 1 << 20


@pytest.fixture
def mapped(tmp_path: Path) -> MappedFile:
    np.arange(64, dtype=np.float32).tofile(tmp_path / "w")
    descriptor = os.open(tmp_path / "w", os.O_RDONLY)
    try:
        return MappedFile(descriptor, "w")
    finally:
        os.close(descriptor)


def test_views_have_their_dtype_and_shape(mapped: MappedFile) -> None:
    np.testing.assert_array_equal(mapped.view(64, "float32", (2, 4)), np.arange(16, 24).reshape(2, 4))
    assert mapped.view(0, "float32", (0, 3)).shape == (0, 3)
    assert mapped.view(128, "float32", ()).item() == 32
    assert mapped.size == 256


@pytest.mark.parametrize(
    ("offset", "shape"), [(256, (1,)), (192, (17,)), (0, (65,)), (0, (2**31, 2**30)), (0, (2**31,) * 8)]
)
def test_beyond_the_end(mapped: MappedFile, offset: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(FileMissing, match="not in a file of 256"):
        mapped.view(offset, "float32", shape)


def test_an_empty_file_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "w").touch()
    with (tmp_path / "w").open("rb") as file:
        empty = MappedFile(file.fileno(), "w")
    assert bytes(empty.bytes) == b""
    assert empty.view(0, "float32", (0,)).shape == (0,)
    with pytest.raises(FileMissing):
        empty.view(0, "float32", (1,))


def test_a_write_is_a_fault() -> None:
    code = """
import os, sys, tempfile
from ovenbird_runtime.integrity.weights import MappedFile
with tempfile.NamedTemporaryFile() as file:
    file.write(bytes(4096)); file.flush()
    MappedFile(file.fileno(), "w").view(0, "float32", (4,))[0] = 1
"""
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{code}"], check=False
    )
    assert result.returncode == -11  # SIGSEGV, by the pages' own protection


CHILD = """
import json, sys, ovenbird_runtime, numpy
model = ovenbird_runtime.load(sys.argv[1], threads=1)
model.run({"image": numpy.zeros((1, 3, 32, 32), "float32")})
print("ready", flush=True)
sys.stdin.readline()
sizes, inside = {}, False
for line in open("/proc/self/smaps"):
    name, _, rest = line.partition(":")
    if "-" in name.split(" ")[0]:
        inside = "/weights/" in line
    elif inside and rest.strip().endswith("kB"):
        sizes[name] = sizes.get(name, 0) + int(rest.split()[0]) / 1024
print(json.dumps(sizes), flush=True)
sys.stdin.readline()
"""


def test_two_processes_share_the_pages(spoilt: Path) -> None:
    """Each has all 64 MB resident, and each is charged for half of them."""
    path = next((spoilt / "weights").iterdir())
    with path.open("ab") as file:
        file.write(np.random.default_rng(0).bytes(64 * MB))
    reseal(spoilt)
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{CHILD}", str(spoilt)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    try:
        for child in children:
            assert child.stdout.readline() == "ready\n"
        sizes = []
        for child in children:
            child.stdin.write("\n")
            child.stdin.flush()
            sizes.append(json.loads(child.stdout.readline()))
    finally:
        for child in children:
            child.communicate("\n")
    for size in sizes:
        assert size["Rss"] == pytest.approx(64, abs=1)
        assert size["Pss"] == pytest.approx(32, abs=1)
        assert size["Private_Dirty"] == size["Anonymous"] == 0
