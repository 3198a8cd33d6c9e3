"""`ovenbird-run` prints what `ovenbird-rt` prints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import ovenbird_runtime
from native.conftest import Command
from ovenbird_runtime.artifact.inspection import inspect_artifact
from ovenbird_runtime.manifest.schema import encode
from ovenbird_runtime.selftest import selftest
from ovenbird_runtime.text import inspection_lines
from support.tiny_artifact import reseal


def test_inspect_says_the_same(native: Command, detector: Path) -> None:
    expected = inspect_artifact(detector)
    done = native("inspect", detector, "--json")
    assert done.code == 0, done.err
    assert done.out == json.dumps(expected, indent=2) + "\n"
    assert native("inspect", detector).out == "\n".join(inspection_lines(expected)) + "\n"


def test_selftest_reproduces_the_golden_outputs(native: Command, detector: Path) -> None:
    expected = encode(selftest(detector, threads=2))
    done = native("selftest", detector, "--json", "--threads", "2")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    for name in ("max_abs_error", "rms", "peak"):
        assert found.pop(name) == pytest.approx(expected.pop(name), rel=1e-9)
    assert found == expected
    assert "9 files as written, 2 golden rows reproduced" in native("selftest", detector).out


def test_selftest_finds_another_network(native: Command, detector: Path, tmp_path: Path) -> None:
    """Weights of the same size that are others, with everything sealed anew."""
    copy = Path(shutil.copytree(detector, tmp_path / "artifact"))
    (weights,) = copy.glob("weights/*.bin")
    data = bytearray(weights.read_bytes())
    data[2:400:4] = data[402:800:4][: len(data[2:400:4])]
    weights.write_bytes(bytes(data))
    reseal(copy)
    done = native("selftest", copy)
    assert done.code == 1
    assert done.err.startswith("error: SelftestFailed: ")
    assert "of its own spread" in done.err


def test_bench_times_calls(native: Command, detector: Path) -> None:
    done = native("bench", detector, "-b", "1,4", "--iterations", "5", "--warmup", "1", "--threads", "2", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["target"], found["threads"]) == ("host", 2)
    assert [(one["batch"], one["calls"]) for one in found["timings"]] == [(1, 5), (4, 5)]
    assert all(0 < one["min_ms"] <= one["median_ms"] <= one["p90_ms"] for one in found["timings"])
    assert "batch 4: min " in native("bench", detector, "--batch=4", "--iterations", "3").out


@pytest.mark.parametrize(
    "words",
    [
        ["run"], ["run", "DIR"], ["run", "DIR", "-i", "x"], ["inspect"], ["inspect", "DIR", "more"],
        ["bench", "DIR", "-b", "0"], ["bench", "DIR", "--seconds", "x"], ["bench", "DIR", "--threads", "0"], ["fly"],
        ["selftest", "--nope"], ["selftest", "DIR", "--precision", "f8"], ["inspect", "DIR", "--json=1"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(native: Command, detector: Path, words: list[str]) -> None:
    done = native(*[str(detector) if word == "DIR" else word for word in words])
    assert done.code == 2
    assert "Error: " in done.err


def test_version_and_help(native: Command) -> None:
    assert native("--version").out == f"ovenbird-run, version {ovenbird_runtime.__version__}\n"
    assert native("--help").out.startswith("Usage: ovenbird-run COMMAND DIR")


def test_output_that_cannot_be_written_is_a_failure(native: Command, detector: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 3, 32, 32), np.float32), scale=np.zeros((1, 5), np.float32))
    done = native("run", detector, "-i", tmp_path / "in.npz", "-o", tmp_path / "no" / "out.npz")
    assert (done.code, done.err) == (
        1,
        "error: OutputNotWritten: 'out.npz' cannot be written: No such file or directory\n",
    )
    done = native("run", detector, "-i", tmp_path / "none.npz", "-o", tmp_path / "out.npz")
    assert (done.code, done.err) == (
        1, "error: InputUnreadable: 'none.npz' cannot be read as .npz: No such file or directory\n"
    )  # fmt: skip
