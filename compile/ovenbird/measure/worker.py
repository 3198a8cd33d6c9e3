"""A process that works on request and may die of it: the tuner's side.

    worker = Worker({"TVM_NUM_THREADS": "2"})
    worker.request({"do": "build", ...}, limit_s=60)      # the answer; raises WorkerLost when the process died or hung
    worker.close()

A worker that was lost is replaced at the next request. `worker_main.py` is the other side.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ovenbird.measure.limits import START_LIMIT_S
from ovenbird.process.children import environment

MODULE = "ovenbird.measure.worker_main"


class WorkerLost(Exception):
    """The process crashed or took too long at what it was asked; the message says which."""


class JobFailed(Exception):
    """The process is well, but the job raised; the message is its reason."""


class Worker:
    """One process, started at the first request and again after each loss."""

    def __init__(self, variables: Mapping[str, str] | None = None, bench: str = "ovenbird.measure.jobs:Bench") -> None:
        """Take the process's own environment variables, and the class whose methods are the jobs."""
        self._variables = dict(variables or {})
        self._bench = bench
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None
        self._unread = b""
        self.generation = 0
        """How many processes there have been: whoever prepared something in one must do so again in the next."""

    def request(self, job: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Hand over one job and wait for its answer. Raises WorkerLost, JobFailed."""
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(self._lost("crashed")) from None
        answer: dict[str, Any] = json.loads(self._line(limit_s))
        if "error" in answer:
            raise JobFailed(str(answer["error"]))
        return answer

    def ensure(self) -> int:
        """Start the process where there is none; return its generation."""
        if self._process is None:
            self._start()
        return self.generation

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._errors.close()

    def _start(self) -> subprocess.Popen[bytes]:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._unread = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(os.getpid()), self._bench],
            env={**environment(), **self._variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the tuner, which then ends its workers
        )
        self.generation += 1
        self._line(START_LIMIT_S)  # it says "ready" when TVM is imported
        return self._process

    def _line(self, limit_s: float) -> bytes:
        """Return the next line of the answer. Raises WorkerLost."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise WorkerLost(self._lost(f"no answer within {limit_s:.0f} s"))
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                raise WorkerLost(self._lost("crashed"))
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _lost(self, what: str) -> str:
        """End what is left of the process; say how it ended."""
        process = self._process
        if process is None:
            return what
        if what == "crashed":
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
        code = process.poll()
        if code is not None and code < 0:
            what = f"crashed with {signal.Signals(-code).name}"
        elif code is not None:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            what = f"ended with code {code}{': ' + said[-1] if said else ''}"
        self.close()
        return what
