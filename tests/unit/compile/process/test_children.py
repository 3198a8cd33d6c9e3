"""Processes beside the compiler: none outlives what it was started for, and what one says is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ovenbird.errors import RuntimeFailed
from ovenbird.process.children import environment, running, runtime_running

SLEEPER = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"


def test_what_it_says_is_kept_however_much() -> None:
    program = "import sys; print('a' * 10**6); print('b' * 10**6, file=sys.stderr); sys.exit(3)"
    with running(["-c", program], environment()) as ended:
        done = ended(60)
    assert (done.returncode, len(done.stdout), len(done.stderr)) == (3, 10**6 + 1, 10**6 + 1)


def test_it_ends_with_the_block(tmp_path: Path) -> None:
    """An interruption, or a framework that fails, leaves no process at work."""
    said = tmp_path / "pid"
    with pytest.raises(KeyboardInterrupt), running(["-c", SLEEPER, str(said)], environment()):  # noqa: PT012
        while not said.exists() or not said.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text()), 0)


def test_one_that_gives_no_answer_is_ended(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeFailed, match=r"no answer within 0 s"),
        runtime_running(["-c", SLEEPER, str(tmp_path / "pid")], limit_s=0.1) as ended,
    ):
        ended()
