"""The process that compiles for `ovenbird.compile`: it holds TVM's compiler, which the caller's must not.

    python -m ovenbird.api.worker REQUEST.pickle ANSWER.pickle DESCRIPTOR

REQUEST is a pickled CompileRequest of the parent's. Steps go to the pipe DESCRIPTOR as lines of JSON, `["importing", 0,
2]`; ANSWER gets the pickled report, or the error. `child.py` is the other end.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

from ovenbird.api.request import CompileRequest
from ovenbird.artifact.report import CompileReport
from ovenbird.host.garbage import look_seldom
from ovenbird.process.interruption import unwind
from ovenbird.process.progress import Progress
from ovenbird_runtime.errors import OvenbirdError


class PipeProgress(Progress):
    """Writes steps into a pipe; a parent that has gone ends the work."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Send a step. Raises BrokenPipeError where nobody reads any more."""
        os.write(self._descriptor, json.dumps([text, done, total]).encode() + b"\n")


def main(arguments: list[str]) -> int:
    """Carry out the request; the exit code is 0 where an answer was written, a report or an error."""
    given, got, descriptor = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    answer: CompileReport | OvenbirdError
    look_seldom()
    try:
        answer = unwind(lambda: _compile(pickle.loads(given.read_bytes()), PipeProgress(descriptor)))
    except OvenbirdError as error:
        answer = type(error)(str(error))  # without what it was raised from, which need not pickle
    got.write_bytes(pickle.dumps(answer))
    return 0


def _compile(request: CompileRequest, progress: Progress) -> CompileReport:
    notes = request.check()
    for note in notes:
        progress(note)
    report = request.carry_out(progress)
    return replace(report, layers={}, notes=(*notes, *report.notes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
