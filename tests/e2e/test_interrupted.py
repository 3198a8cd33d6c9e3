"""Signals to `ovenbird` at any moment: it ends at once with one line, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENDINGS = ("error: interrupted; nothing was left behind", "error: TuningInterrupted: interrupted; every record is kept")
BOUND = 180  # seconds: a hang, not a measurement
COMMANDS = {
    "compile": ["compile", "networks:detector", "--target", "host", "-o", "artifact"],
    "tune": ["tune", "networks:detector", "--target", "host", "--trials", "500", "-o", "log"],
}


def catches(pid: int, number: signal.Signals) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def group_of(pid: int) -> list[str]:
    """Return the processes of a session that are still there and do something."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if entry.name.isdigit() and int(fields[3]) == pid and fields[0] != "Z":
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "delay", [*(pytest.param(delay, marks=pytest.mark.slow) for delay in (0.0, 0.3, 3.0, 6.0)), 1.0]
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_ends_the_command_and_leaves_nothing(
    tmp_path: Path, command: str, delay: float, number: signal.Signals
) -> None:
    packages = os.pathsep.join((str(HERE), *(path for path in sys.path if path)))
    environment = os.environ | {"PYTHONPATH": packages, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "ovenbird", *COMMANDS[command], "-q"],
        cwd=tmp_path, env=environment, text=True, start_new_session=True,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        begun = time.monotonic()
        while not catches(process.pid, signal.SIGHUP):
            assert time.monotonic() - begun < BOUND
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(number)
        _, output = process.communicate(timeout=BOUND)
        # The artifact is whole, and the signal came while Python ended: the system's own answer to it is right.
        ended = process.returncode == -number and (tmp_path / "artifact/manifest.json").exists()
        if process.returncode == 0 or ended:
            pytest.skip("it was done before the signal")
        assert process.returncode == 1, output
        assert output.splitlines()[-1].startswith(
            (
                "error: interrupted; nothing was left behind",
                "error: TuningInterrupted: interrupted; every record is kept",
            )
        )
        assert "Traceback" not in output
        end = time.monotonic() + BOUND
        while left := group_of(process.pid):
            assert time.monotonic() < end, left
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert list((tmp_path / "tmp").iterdir()) == []
    if command == "compile":
        assert not (tmp_path / "artifact").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
