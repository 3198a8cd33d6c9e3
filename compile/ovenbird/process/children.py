"""Processes of this Python: what must not share one with the compiler's TVM runs in one of its own.

done = python_process(["-m", "ovenbird.backends.cuda.local_gpu", ...])
done.stdout if done.returncode == 0 else ending(done.returncode, done.stderr)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ovenbird.errors import RuntimeFailed
from ovenbird_runtime.integrity.signatures import REQUIRE_SIGNATURE

TIME_LIMIT_S = 900.0
"""How long an artifact may take for all cases of one verification."""
LAST_LINES = 20
RUNTIME_PROGRAM = "from ovenbird_runtime.__main__ import main; main('ovenbird')"
"""The runtime's command line. No path to a program: it need not be installed where a checkout is used."""

WAITING_THREADS_SLEEP = {"OMP_WAIT_POLICY": "passive"}
"""The environment in which threads of torch that wait for one another sleep."""


def let_waiting_threads_sleep() -> None:
    """Let threads of torch sleep that wait for one another, in this process and its children, unless the user said what
    they do: by default they turn in a loop, which takes ten times the time of the work itself on a machine with other
    work.

    OpenMP reads it when torch is imported.
    """
    for name, value in WAITING_THREADS_SLEEP.items():
        os.environ.setdefault(name, value)


def python_process(
    arguments: Sequence[str], limit_s: float = TIME_LIMIT_S, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run this Python with `arguments` in a fresh process that sees the same packages, and `variables` for its
    environment if they are given. Raises TimeoutExpired.
    """
    with running(arguments, environment() if variables is None else variables) as ended:
        return ended(limit_s)


@contextmanager
def running(
    arguments: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Callable[[float], subprocess.CompletedProcess[str]]]:
    """Start this Python with `arguments`; give what waits for its end, so many seconds at most (TimeoutExpired).

    The process does not outlive the block. What it says lies in files: nothing here has to read while it works.
    """
    command = [sys.executable, *arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, env=dict(variables), stdout=out, stderr=err)

        def ended(limit_s: float) -> subprocess.CompletedProcess[str]:
            code = process.wait(limit_s)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

        try:
            yield ended
        finally:
            process.kill()  # nothing where it has ended
            process.wait()


@contextmanager
def runtime_running(
    arguments: Sequence[str], limit_s: float = TIME_LIMIT_S
) -> Iterator[Callable[[], subprocess.CompletedProcess[str]]]:
    """Start what loads an artifact that was made a moment ago; give what waits for its end, or raises RuntimeFailed."""
    with running(arguments, without_signature()) as ended:

        def ended_in_time() -> subprocess.CompletedProcess[str]:
            try:
                return ended(limit_s)
            except subprocess.TimeoutExpired:
                raise RuntimeFailed(f"the runtime gave no answer within {limit_s:.0f} s") from None

        yield ended_in_time


def runtime_process(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run what loads an artifact that was made a moment ago. Raises RuntimeFailed."""
    with runtime_running(arguments) as ended:
        return ended()


def without_signature() -> dict[str, str]:
    """Return an environment in which an artifact needs no signature: it is signed when it is known to be right."""
    return {name: value for name, value in environment().items() if name != REQUIRE_SIGNATURE}


def environment() -> dict[str, str]:
    """Return the environment for a process that imports from where this one does: a checkout need not be installed."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def ending(code: int, said: str) -> str:
    """Return how a process ended that failed: the signal, an exception's own line, or else the last one it said."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    kinds = [(line, line.partition(":")[0]) for line in lines[-LAST_LINES:]]  # some engines log more behind it
    errors = [line for line, kind in kinds if "Error" in kind or "Exception" in kind]
    return (errors or lines or [f"exit code {code}"])[-1]
