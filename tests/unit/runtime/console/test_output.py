"""Every command of `ovenbird-rt` whose output cannot be written: one line, exit code 1, no traceback."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.streams import check_failed_output, run_with

COMMANDS = {
    "run": ["run", "TINY", "PHOTO"],
    "run json": ["run", "TINY", "PHOTO", "--json", "--embedding"],
    "inspect": ["inspect", "TINY"],
    "inspect json": ["inspect", "TINY", "--json"],
    "selftest": ["selftest", "TINY"],
    "bench": ["bench", "TINY", "--seconds", "0.1"],
    "help": ["--help"],
    "help of a command": ["serve", "--help"],
    "version": ["--version"],
}
FAILING = ["stdout full", "stdout closed", "both closed", "both full", "nobody reads"]


@pytest.fixture(scope="module")
def places(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    photo = tmp_path_factory.mktemp("output") / "photo.png"
    Image.new("RGB", (40, 30)).save(photo)
    return {"TINY": str(tiny), "PHOTO": str(photo)}


def program(arguments: list[str], places: dict[str, str]) -> list[str]:
    return [sys.executable, "-m", "ovenbird_runtime", *(places.get(word, word) for word in arguments)]


@pytest.mark.parametrize(
    ("name", "redirection"),
    [
        *itertools.product(COMMANDS, FAILING[:2]),
        *(("inspect", r) for r in FAILING[2:]),
        *(("help", r) for r in FAILING[2:]),
        ("run", "nobody reads"),
        ("run json", "both full"),
    ],
)
def test_output_that_cannot_be_written(places: dict[str, str], name: str, redirection: str) -> None:
    result = run_with(program(COMMANDS[name], places), redirection)
    if name.startswith("run") and "RANDOM WEIGHTS" in result.stderr:  # printed before, on standard error
        result.stderr = result.stderr.partition("\n")[2]
    check_failed_output(result, redirection)


@pytest.mark.parametrize("redirection", ["stdout closed", "all closed", "stdout full", "stderr full", "stderr closed"])
def test_what_prints_nothing_needs_no_output(places: dict[str, str], tmp_path: Path, redirection: str) -> None:
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 3, 32, 32), np.float32))
    files = ["-i", str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz")]
    assert run_with(program(["run", "TINY", *files], places), redirection).returncode == 0
    with np.load(tmp_path / "out.npz") as outputs:  # and its descriptor was not taken for the output's
        assert outputs["logits"].shape[0] == 1


@pytest.mark.parametrize("redirection", ["stderr full", "stderr closed"])
def test_errors_that_nobody_hears(places: dict[str, str], redirection: str) -> None:
    assert run_with(program(["inspect", "TINY"], places), redirection).returncode == 0
    assert run_with(program(["inspect", "/nowhere"], places), redirection).returncode == 1
    assert run_with(program(["run", "TINY"], places), redirection).returncode == 2


def test_a_reader_that_goes_after_one_line(places: dict[str, str]) -> None:
    command = program(["inspect", "TINY", "--json"], places)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -1', "bash", *command], capture_output=True, text=True, env=environment, check=True
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_tensors_to_what_is_no_file(places: dict[str, str], tmp_path: Path) -> None:
    """A device must not be replaced by a file of its name; this one is our own, in case it is."""
    device = tmp_path / "full"
    try:
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 7))
        device.write_bytes(b"")
    except OSError as error:
        pytest.skip(f"no device can be made here: {error}")
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 3, 32, 32), np.float32))
    result = run_with(program(["run", "TINY", "-i", str(tmp_path / "in.npz"), "-o", str(device)], places), "as it is")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "error: OutputNotWritten: 'full' cannot be written: No space left on device"
    )
    assert stat.S_ISCHR(device.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_tensors_through_a_pipe(places: dict[str, str], tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 3, 32, 32), np.float32))
    os.mkfifo(tmp_path / "pipe")
    command = program(["run", "TINY", "-i", str(tmp_path / "in.npz"), "-o", str(tmp_path / "pipe")], places)
    result = run_with(command, "pipe read")
    assert result.returncode == 0
    with np.load(tmp_path / "read.npz") as outputs:
        assert outputs["logits"].shape[0] == 1


def test_letters_that_the_terminal_lacks(places: dict[str, str], tmp_path: Path) -> None:
    photo = tmp_path / "é漢.png"
    Image.new("RGB", (40, 30)).save(photo)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONIOENCODING": "latin-1",
    }  # fmt: skip
    command = program(["run", "TINY", str(photo)], places)
    result = subprocess.run(
        command, capture_output=True, encoding="latin-1", env=environment, check=False, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "é\\u6f22.png" in result.stdout
