"""The process that builds and times candidates: one JSON object a line in, one out.

    python -m ovenbird.measure.worker_main PARENT MODULE:CLASS

CLASS is the one whose methods are the jobs: `ovenbird.measure.jobs:Bench`, or the `bench` of a backend's tuner. The
process ends when its parent does. What a job prints goes to standard error, never between the answers.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from typing import IO, Any

from ovenbird.measure.tvm_alone import import_tvm_alone

PR_SET_PDEATHSIG = 1


def main(parent: int, bench_class: str) -> int:
    """Answer requests until there are no more."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a candidate that hangs must not outlive the tuner
    if os.getppid() != parent:
        return 1
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import_tvm_alone()
    module, _, name = bench_class.partition(":")
    bench: Any = getattr(importlib.import_module(module), name)()
    _say(answers, {"ready": True})
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = getattr(bench, job.pop("do"))(**job)
        except Exception as error:  # noqa: BLE001 - any failure of a candidate is an answer
            answer = {"error": _reason(error)}
        _say(answers, answer)
    return 0


def _say(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:300]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
