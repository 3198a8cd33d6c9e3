"""The target's commands, as a session: the command, what it prints, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime.artifact.golden import GOLDEN, read_golden, write_golden
from ovenbird_runtime.cli import main
from support.tiny_artifact import reseal


def session(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(path)
    return path


def test_a_bug_is_one_line_too(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of a kind that\nnobody expects")

    monkeypatch.setattr("ovenbird_runtime.artifact.inspection.inspect_artifact", broken)
    result = CliRunner().invoke(main, ["inspect", str(tiny)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: internal: ZeroDivisionError: of a kind that (a bug; --debug shows where)\n"
    assert isinstance(CliRunner().invoke(main, ["inspect", str(tiny), "--debug"]).exception, ZeroDivisionError)


def test_run_prints_the_answer(tiny: Path, photo: Path) -> None:
    result = session("run", tiny, photo)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == str(photo)
    assert lines[1] == "  tiny: RANDOM WEIGHTS, the answer means nothing"
    assert lines[2].startswith("  1. class ")
    assert lines[2].endswith(" %")
    assert lines[3].startswith("  2. class ")
    assert lines[4].startswith("  embedding: mean ")
    assert "RANDOM WEIGHTS (seed 0)" in result.stderr


def test_run_prints_json(tiny: Path, photo: Path) -> None:
    result = session("run", tiny, photo, photo, "--json", "--top", "3", "--embedding", "--preprocess", "zoom-crop-pad")
    rows = json.loads(result.stdout)
    assert len(rows) == 2
    assert rows[0]["image"] == str(photo)
    assert rows[0]["random_weights"] is True
    assert rows[0]["preprocess"] == "zoom-crop-pad"
    assert len(rows[0]["classes"]["logits"]) == 3
    assert len(rows[0]["embeddings"]["embedding"]["vector"]) == 8


def test_run_takes_tensors(tiny: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "in.npz", image=image)
    result = session("run", tiny, "-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert (result.exit_code, result.stdout) == (0, "")
    with ovenbird_runtime.load(tiny) as model, np.load(tmp_path / "out.npz") as out:
        np.testing.assert_allclose(out["logits"], model.run({"image": image})["logits"], rtol=1e-5)


def test_inspect_prints_what_an_artifact_is(tiny: Path) -> None:
    result = session("inspect", tiny)
    assert result.exit_code == 0
    assert "weights  RANDOM (seed 0)" in result.stdout
    assert "target   tiny: runs here" in result.stdout
    found = json.loads(session("inspect", tiny, "--json").stdout)
    assert found["variants"][0]["runs_here"] is True
    assert found["inputs"][0]["shape"] == ["N", 3, 32, 32]
    assert found["programs"]["main"]["inputs"] == found["inputs"]
    assert found["variants"][0]["batches"] == {"main": [1, 4]}


def test_selftest_reproduces_the_golden_outputs(tiny: Path) -> None:
    result = session("selftest", tiny)
    assert result.exit_code == 0
    assert "5 files as written, 2 golden rows reproduced" in result.stdout
    found = json.loads(session("selftest", tiny, "--json").stdout)
    assert found["max_abs_error"]["logits"] < 1e-4


def test_bench_times_the_batches_asked_for(tiny: Path) -> None:
    result = session("bench", tiny, "--batch", "1", "--batch", "5", "--seconds", "0.1", "--json")
    assert result.exit_code == 0
    timings = json.loads(result.stdout)["timings"]
    assert [timing["batch"] for timing in timings] == [1, 5]
    assert all(0 < t["min_ms"] <= t["median_ms"] <= t["p90_ms"] for t in timings)
    assert "images/s" in session("bench", tiny, "--seconds", "0.1").stdout


def test_bench_from_a_picture(tiny: Path, photo: Path) -> None:
    result = session("bench", tiny, "--batch", "2", "--seconds", "0.1", "--image", photo, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["timings"][0]["batch"] == 2


FAILURES = [
    (["run", "nowhere", "x.jpg"], "ArtifactNotFound: 'nowhere' is no artifact"),
    (["run", "TINY", "nowhere.jpg"], "ImageNotFound: 'nowhere.jpg' cannot be read: No such file or directory"),
    (["run", "TINY", "PHOTO", "--preprocess", "x"], "PipelineError: pre-processing 'x' is unknown; there are imagenet"),
    (["run", "TINY", "PHOTO", "--max-megapixels", "0.001"], "ImageTooLarge: 'photo.jpg' is 80x60"),
    (["run", "TINY", "PHOTO", "--device", "cuda"], "DeviceUnavailable: "),
    (["run", "TINY", "-i", "no.npz", "-o", "out.npz"], "InputUnreadable: 'no.npz' cannot be read as .npz"),
    (["run", "TINY", "-i", "PHOTO", "-o", "out.npz"], "InputUnreadable: 'photo.jpg' cannot be read as .npz"),
    (["inspect", "nowhere"], "ArtifactNotFound: "),
    (["selftest", "nowhere"], "ArtifactNotFound: "),
    (["bench", "nowhere"], "ArtifactNotFound: "),
    (["bench", "TINY", "--image", "nowhere.jpg"], "ImageNotFound: 'nowhere.jpg'"),
]


@pytest.mark.parametrize(("command", "words"), FAILURES, ids=[" ".join(command) for command, _ in FAILURES])
def test_failures_are_one_line_and_exit_1(tiny: Path, photo: Path, command: list[str], words: str) -> None:
    result = session(*[{"TINY": str(tiny), "PHOTO": str(photo)}.get(word, word) for word in command])
    assert result.exit_code == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"error: {words}")
    assert "Traceback" not in result.stderr


USAGE = [
    ["run"],
    ["run", "TINY"],
    ["run", "TINY", "PHOTO", "--top", "0"],
    ["run", "TINY", "PHOTO", "--threads", "0"],
    ["run", "TINY", "PHOTO", "-i", "x.npz"],
    ["run", "TINY", "-i", "x.npz"],
    ["bench", "TINY", "--batch", "0"],
    ["nonsense"],
]


@pytest.mark.parametrize("command", USAGE, ids=" ".join)
def test_wrong_usage_exits_2(command: list[str]) -> None:
    assert session(*command).exit_code == 2


def test_debug_shows_the_traceback() -> None:
    result = session("inspect", "nowhere", "--debug")
    assert isinstance(result.exception, ovenbird_runtime.ArtifactError)


def test_a_failing_selftest_ends_in_one_line(spoilt: Path) -> None:
    inputs, outputs = read_golden((spoilt / GOLDEN).read_bytes())
    write_golden(spoilt / GOLDEN, inputs, {name: array * np.float32(1.01) for name, array in outputs.items()})
    reseal(spoilt)
    result = session("selftest", spoilt)
    assert result.exit_code == 1
    assert "SelftestFailed: logits is off by" in result.stderr
    (spoilt / GOLDEN).unlink()
    assert "FileMissing" in session("selftest", spoilt).stderr


def test_no_room_for_the_outputs(tiny: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 3, 32, 32), np.float32))
    result = session("run", tiny, "-i", tmp_path / "in.npz", "-o", tmp_path / "no" / "out.npz")
    assert result.exit_code == 1
    assert "OutputNotWritten: 'out.npz' cannot be written: No such file or directory" in result.stderr


def test_the_command_is_a_program(tiny: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "inspect", str(tiny)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0
    assert "model    tiny" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("command", ["selftest", "bench"])
def test_a_precision_chooses_the_variant(tiny: Path, command: str) -> None:
    assert session(command, tiny, "--precision", "f32").exit_code == 0
    done = session(command, tiny, "--precision", "int8")
    assert (done.exit_code, "WrongOption: precision is 'int8', the artifact holds tiny (f32)" in done.stderr) == (
        1,
        True,
    )
    assert session(command, tiny, "--precision", "f8").exit_code == 2
