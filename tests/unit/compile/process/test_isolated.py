"""A child's end is the parent's error, never the parent's end."""

import os
import signal
from pathlib import Path

import pytest

from ovenbird.errors import BuildFailed, DiskFull, OutputError
from ovenbird.process.isolated import run_isolated


def test_good_work_leaves_its_file(tmp_path: Path) -> None:
    run_isolated(lambda: (tmp_path / "made").write_text("by the child") and None, "made")
    assert (tmp_path / "made").read_text() == "by the child"


def test_an_error_raised_on_purpose_comes_through() -> None:
    def work() -> None:
        raise OutputError("no such place") from ValueError("inside")

    with pytest.raises(OutputError, match="no such place"):
        run_isolated(work, "file")


def test_any_other_error_is_a_failed_build() -> None:
    def work() -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(BuildFailed, match="ZeroDivisionError: by zero"):
        run_isolated(work, "file")


def test_llvm_that_meets_a_full_disk_is_disk_full() -> None:
    def work() -> None:
        os.write(2, b"LLVM ERROR: IO failure on output stream: No space left on device\n")
        os._exit(1)

    with pytest.raises(DiskFull, match=r"model\.so \(No space left on device\)"):
        run_isolated(work, "model.so")


def test_a_crash_names_its_signal() -> None:
    def work() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(BuildFailed, match="SIGKILL"):
        run_isolated(work, "model.so")
