"""Commands of `ovenbird` whose output cannot be written: one line, exit code 1, no traceback."""

from __future__ import annotations

import itertools
import sys

import pytest

from support.streams import check_failed_output, run_with

COMMANDS = [
    "models",
    "models --json",
    "targets",
    "targets --json",
    "--help",
    "compile --help",
    "run --help",
    "--version",
]
FAILING = ["stdout full", "stdout closed", "both closed", "both full", "nobody reads"]


@pytest.mark.parametrize(
    ("command", "redirection"),
    [
        *itertools.product(COMMANDS, FAILING[:2]),
        *(("models", how) for how in FAILING[2:]),
        ("run --help", "nobody reads"),
    ],
)
def test_output_that_cannot_be_written(command: str, redirection: str) -> None:
    check_failed_output(run_with([sys.executable, "-m", "ovenbird", *command.split()], redirection), redirection)


@pytest.mark.parametrize("redirection", ["stderr full", "stderr closed"])
def test_errors_that_nobody_hears(redirection: str) -> None:
    for command, code in (("models", 0), ("inspect /nowhere", 1), ("compile", 2)):
        result = run_with([sys.executable, "-m", "ovenbird", *command.split()], redirection)
        assert (result.returncode, result.stderr) == (code, "")
