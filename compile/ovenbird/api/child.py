"""Compiling in a process of its own, so that the caller's neither holds TVM's compiler nor prints what it prints.

    report = compile_in_child(request, lambda step, done, total: print(step))

The caller can then load the artifact: TVM's compiler and the runtime cannot share a process.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ovenbird.errors import BuildFailed
from ovenbird.process.children import WAITING_THREADS_SLEEP, ending, environment

if TYPE_CHECKING:
    from ovenbird.api.request import CompileRequest
    from ovenbird.artifact.report import CompileReport

Callback = Callable[[str, int, int], object]
"""Called with a step's text, how many parts of it are done, and of how many (0: unknown)."""
WORKER = "ovenbird.api.worker"
STOP_SECONDS = 20.0
"""What a child may take to remove what it began."""


def compile_in_child(request: CompileRequest, progress: Callback | None = None) -> CompileReport:
    """Carry out a request in a fresh process; steps are reported in the calling thread.

    Raises what the work raises, BuildFailed where the process ends without an answer, and what `progress` raises, which
    ends the work.
    """
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as work:
        given, got, said = (Path(work) / name for name in ("request.pickle", "answer.pickle", "output.txt"))
        given.write_bytes(pickle.dumps(request))
        reading, writing = os.pipe()
        arguments = [str(given), str(got), str(writing)]
        with os.fdopen(reading, "rb") as steps, said.open("wb") as output:
            try:
                child = start(arguments, output, writing)
            finally:
                os.close(writing)
            try:
                for line in steps:
                    if progress is not None:
                        progress(*json.loads(line))
                code = child.wait()
            except BaseException:
                _stop(child)
                raise
        if code != 0 or not got.is_file():
            text = said.read_text(encoding="utf-8", errors="replace")
            raise BuildFailed(f"the compiler's process ended without an answer: {ending(code, text)}")
        answer = pickle.loads(got.read_bytes())
    if isinstance(answer, Exception):
        raise answer
    report: CompileReport = answer
    return report


def start(arguments: Sequence[str], output: IO[bytes], writing: int) -> subprocess.Popen[bytes]:
    """Start the worker, which gets the descriptor `writing` as it is; what it prints goes to `output`."""
    return subprocess.Popen(
        [sys.executable, "-m", WORKER, *arguments],
        env={**WAITING_THREADS_SLEEP, **environment()},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[writing],
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End a child, which removes what it began; one that does not end in time is killed."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
