"""One file that is a model: what `ovenbird bake --format executable` writes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from native.conftest import build, run
from ovenbird.baking.executable import write_executable
from ovenbird.errors import BakeFailed, UsageError
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.tensors.tensors import npz_bytes

Bake = Callable[..., Path]


@pytest.fixture(scope="module")
def bake(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Return what bakes the detector's artifact, or another, by the runtime that tests have built."""
    runtime = build() / "ovenbird-run"

    def made(artifact: Path = detector, **options: bool) -> Path:
        output = tmp_path_factory.mktemp("executable") / "model"
        write_executable(open_artifact(artifact), "host", runtime, output, **options)
        return output

    return made


@pytest.fixture(scope="module")
def model(bake: Bake) -> Path:
    return bake()


def test_it_answers_as_the_folder_does(model: Path, detector: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    inputs = {
        "image": random.standard_normal((5, 3, 32, 32)).astype(np.float32),
        "scale": random.standard_normal((5, 5)).astype(np.float32),
    }
    (tmp_path / "in.npz").write_bytes(npz_bytes(inputs))
    words = ("-i", tmp_path / "in.npz", "--threads", "2", "-o")
    done = run(model, "run", *words, tmp_path / "out.npz")
    assert done.code == 0, done.err
    assert run(build() / "ovenbird-run", "run", detector, *words, tmp_path / "expected.npz").code == 0
    assert (tmp_path / "out.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()
    assert '"target": "host"' in run(model, "inspect", "--json").out
    assert run(model, "bench", "--iterations", "2", "--warmup", "0", "--json").code == 0


def test_its_usage_names_no_folder(model: Path) -> None:
    assert "Usage: model COMMAND [OPTIONS]" in run(model).out
    done = run(model, "selftest", "somewhere")
    assert done.code == 2
    assert "Usage: model COMMAND [OPTIONS]" in done.err
    assert "somewhere" in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_it_runs_where_nothing_else_is(model: Path, tmp_path: Path) -> None:
    """Not even /proc: what an image FROM scratch is."""
    shutil.copy(model, tmp_path)
    done = run(Path("chroot"), tmp_path, "/model", "selftest")
    assert done.code == 0, done.err
    assert "2 golden rows reproduced" in done.out


def test_weights_may_stay_beside_it(bake: Bake, model: Path) -> None:
    apart = bake(weights_inside=False)
    weights = [path for path in apart.with_name("model.weights").rglob("*") if path.is_file()]
    assert weights
    assert apart.stat().st_size <= model.stat().st_size - sum(path.stat().st_size for path in weights)
    assert run(apart, "selftest").code == 0
    weights[0].write_bytes(bytes(weights[0].stat().st_size))
    done = run(apart, "selftest")
    assert (done.code, done.err.split()[1]) == (1, "FileChanged:")
    shutil.rmtree(apart.with_name("model.weights"))
    done = run(apart, "selftest")
    assert (done.code, done.err.split()[1]) == (1, "FileMissing:")


def test_it_does_without_evidence(bake: Bake, model: Path, detector: Path, tmp_path: Path) -> None:
    """It is smaller by that, runs, and its selftest says what it lacks."""
    slim = bake(evidence=False)
    evidence = sum(path.stat().st_size for path in (detector / "evidence").iterdir())
    assert evidence > 10_000
    assert slim.stat().st_size <= model.stat().st_size - evidence
    arrays = {"image": np.ones((1, 3, 32, 32), np.float32), "scale": np.ones((1, 5), np.float32)}
    (tmp_path / "in.npz").write_bytes(npz_bytes(arrays))
    for one in (slim, model):
        done = run(one, "run", "-i", tmp_path / "in.npz", "-o", tmp_path / f"{one.parent.name}.npz")
        assert done.code == 0, done.err
    first, second = (tmp_path / f"{one.parent.name}.npz" for one in (slim, model))
    assert first.read_bytes() == second.read_bytes()
    assert '"target": "host"' in run(slim, "inspect", "--json").out
    done = run(slim, "selftest")
    assert (done.code, done.err.split()[1]) == (1, "FileMissing:")
    assert "evidence/" in done.err


def trailer(data: bytes) -> tuple[int, int]:
    place, size = struct.unpack("<QQ", data[-24:-8])
    return place, size


def test_what_is_damaged_is_refused(model: Path, tmp_path: Path) -> None:
    """Trailer, index and files; none ends the process by a signal."""
    data = model.read_bytes()
    place, size = trailer(data)
    index = data[place : place + size]
    (target,) = [line for line in index.splitlines() if line.endswith(b"/target.json")]
    offset = int(target.split()[0])

    def indexed(text: bytes) -> bytes:
        return data[:place] + text + struct.pack("<QQ", place, len(text)) + b"OVENBIRD"

    damaged = {
        "the index is elsewhere": data[:-24] + struct.pack("<QQ", place + 1, size) + b"OVENBIRD",
        "its place is beyond all": data[:-24] + struct.pack("<QQ", 2**63, size) + b"OVENBIRD",
        "its size wraps": data[:-24] + struct.pack("<QQ", place, 2**64 - 1) + b"OVENBIRD",
        "a file beyond the end": indexed(index.replace(target, b"%d 99 x/target.json" % len(data))),
        "a size beyond the end": indexed(index.replace(target, b"0 99999999999999 x/target.json")),
        "a number of many digits": indexed(b"9" * 40 + b" 1 manifest.json\n"),
        "no number": indexed(b"manifest.json\n"),
        "no name": indexed(b"1 2\n"),
    }
    kinds = {}
    for name, content in damaged.items():
        (tmp_path / "model").write_bytes(content)
        (tmp_path / "model").chmod(0o755)
        done = run(tmp_path / "model", "selftest")
        kinds[name] = (done.code, done.err.split()[1])
        assert run(build() / "ovenbird-run", "selftest", tmp_path / "model").err == done.err
    assert kinds == dict.fromkeys(damaged, (1, "ManifestInvalid:"))
    for name, content, kind in (
        ("an empty index", indexed(b""), "ArtifactNotFound:"),
        ("a file is missing", indexed(index.replace(target + b"\n", b"")), "FileMissing:"),
        ("a byte of a file", data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :], "FileChanged:"),
    ):
        (tmp_path / "model").write_bytes(content)
        done = run(tmp_path / "model", "selftest")
        assert (done.code, done.err.split()[1]) == (1, kind), name


def test_a_signature_goes_with_it(bake: Bake, detector: Path, tmp_path: Path) -> None:
    signing = pytest.importorskip("ovenbird.trust.signing")
    artifact = Path(shutil.copytree(detector, tmp_path / "artifact"))
    for name in ("mine", "other"):
        signing.make_key(tmp_path / name)
    signing.sign_artifact(artifact, signing.read_private_key(tmp_path / "mine"))
    signed = bake(artifact)
    assert run(signed, "selftest", "--require-signature", tmp_path / "mine.pub").code == 0
    done = run(signed, "selftest", "--require-signature", tmp_path / "other.pub")
    assert (done.code, done.err.split()[1]) == (1, "SignatureForeign:")


def test_what_cannot_be_baked_is_said(detector: Path, model: Path, tmp_path: Path) -> None:
    artifact, runtime = open_artifact(detector), build() / "ovenbird-run"
    foreign = bytearray(runtime.read_bytes())
    foreign[18:20] = b"\xb7\x00"
    (tmp_path / "foreign").write_bytes(foreign)
    for program, message in (
        (model, "has a model behind it already"),
        (Path(__file__), "is no executable of Linux"),
        (tmp_path / "foreign", "is for aarch64, the target is x86_64"),
        (Path(sys.executable).resolve(), "needs a dynamic linker"),
    ):
        with pytest.raises((UsageError, BakeFailed), match=message):
            write_executable(artifact, "host", program, tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_it_is_built_from_sources_and_kept(detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the compiler of this machine; the second time it is there."""
    build()  # the toolchain is there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "two"):
        words = ["-m", "ovenbird", "bake", str(detector), "--format", "executable", "-o", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, timeout=600, check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (kept,) = (tmp_path / "cache").rglob("ovenbird-run")
        changed = kept.stat().st_mtime_ns
    assert kept.stat().st_mtime_ns == changed
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert run(tmp_path / "one", "selftest").code == 0
