"""A model within a program: what `ovenbird bake --format c` writes, linked into a program in C."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ovenbird_runtime
from native.conftest import ROOT, build, run
from native.test_library import cmake
from ovenbird.baking.embedded import object_file, write_embedded
from ovenbird.errors import UsageError
from ovenbird_runtime.artifact.artifact import open_artifact

ZEROS = {"image": np.zeros((1, 3, 32, 32), np.float32), "scale": np.zeros((1, 5), np.float32)}


def link(folder: Path, *flags: str) -> Path:
    """Link the example with the model of a folder and the static library of the build."""
    library, example = build(), ROOT / "runtime/cpp/example/embedded.c"
    words = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DOVENBIRD_STATIC", *flags]
    words += [f"-I{folder}", f"-I{ROOT / 'runtime/cpp/include'}", str(example), str(folder / "model.o")]
    words += [str(library / "libovenbird.a"), "-ljpeg", "-lstdc++", "-lm", "-lpthread", "-o", str(folder / "program")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "program"


def test_a_c_program_runs_the_model_that_is_linked_in(detector: Path, tmp_path: Path) -> None:
    report = write_embedded(open_artifact(detector), "host", "model", tmp_path)
    assert report.size_bytes == (tmp_path / "model.o").stat().st_size
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(link(tmp_path), alone)
    done = run(alone / "program")
    assert done.code == 0, done.err
    with ovenbird_runtime.load(detector, threads=1, engine="tvm") as model:
        expected = {name: float(array.reshape(-1)[0]) for name, array in model.run(ZEROS).items()}
    found = {line.partition(": ")[0]: float(line.partition(": ")[2]) for line in done.out.splitlines()}
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_changed_byte_is_refused(detector: Path, tmp_path: Path) -> None:
    write_embedded(open_artifact(detector), "host", "model", tmp_path)
    data = bytearray((tmp_path / "model.o").read_bytes())
    place = data.index((detector / "targets/host/model.so").read_bytes()[:4096]) + 5000
    data[place] ^= 1
    (tmp_path / "model.o").write_bytes(data)
    done = run(link(tmp_path))
    assert (done.code, done.err.partition(" has")[0]) == (1, "error: open: targets/host/model.so")


def test_a_signature_is_embedded_too(detector: Path, tmp_path: Path) -> None:
    signing = pytest.importorskip("ovenbird.trust.signing")
    artifact = Path(shutil.copytree(detector, tmp_path / "artifact"))
    signing.make_key(tmp_path / "mine")
    for name in ("unsigned", "signed"):
        write_embedded(open_artifact(artifact), "host", "model", tmp_path / name)
        program = link(tmp_path / name)
        done = run(program, OVENBIRD_REQUIRE_SIGNATURE=str(tmp_path / "mine.pub"))
        assert (done.code == 0) == (name == "signed"), done.err
        signing.sign_artifact(artifact, signing.read_private_key(tmp_path / "mine"))


def test_objects_are_what_tools_of_the_system_read(tmp_path: Path) -> None:
    for arch, name in (("x86_64", "X86-64"), ("aarch64", "AArch64")):
        (tmp_path / "some.o").write_bytes(object_file(b"0123456789", "some_artifact", arch))
        done = subprocess.run(
            ["readelf", "-W", "-h", "-S", "-s", tmp_path / "some.o"], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert name in done.stdout
        assert "10 OBJECT  GLOBAL DEFAULT    1 some_artifact" in done.stdout


def test_names_are_those_of_c(detector: Path, tmp_path: Path) -> None:
    report = write_embedded(open_artifact(detector), "host", "my-net.v2", tmp_path)
    assert report.header == str(tmp_path / "my_net_v2.h")
    with pytest.raises(UsageError, match="begins no name in C"):
        write_embedded(open_artifact(detector), "host", "2nd", tmp_path)


@pytest.mark.slow
def test_the_example_is_built_by_cmake(detector: Path, tmp_path: Path) -> None:
    words = ["-m", "ovenbird", "bake", str(detector), "--format", "c", "-o", str(tmp_path / "model")]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cmake("--install", build(), "--prefix", tmp_path / "prefix")
    words = [f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}", f"-DOVENBIRD_MODEL={tmp_path}"]
    cmake("-S", ROOT / "runtime/cpp/example", "-B", tmp_path / "example", *words)
    cmake("--build", tmp_path / "example")
    assert run(tmp_path / "example" / "embedded").code == 0
