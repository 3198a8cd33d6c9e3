"""Starting the benchmark's processes, one at a time, and reading what they say.

answer, outputs = run_worker(Job("ort", folder, batch=1, threads=2), limit_s=180)
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ovenbird import errors
from ovenbird.benchmarking import preparing
from ovenbird.benchmarking.jobs import NETWORK_FILE, Answer, Job, read_answer, write_job
from ovenbird.errors import EngineFailed
from ovenbird.process.children import ending, environment, python_process
from ovenbird_runtime.tensors.arrays import Arrays

POLL_S = 0.02


def run_worker(job: Job, limit_s: float) -> tuple[Answer, Arrays]:
    """Run one job in a fresh process. Raises EngineFailed with the last line the process said."""
    with started_worker(job) as (process, folder, said):
        try:
            process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise EngineFailed(f"{job.engine} was not done within {limit_s:.0f} s") from None
        if process.returncode != 0:
            raise EngineFailed(f"{job.engine} failed: {ended(process.returncode, said)}")
        with np.load(folder / "outputs.npz", allow_pickle=False) as archive:
            outputs = {name: archive[name] for name in archive.files}
        return read_answer(folder / "answer.json"), outputs


@contextlib.contextmanager
def started_worker(job: Job) -> Iterator[tuple[subprocess.Popen[bytes], Path, IO[bytes]]]:
    """Start a job's process; return it, the folder of its answer and what it says.

    It is ended when the block is left.
    """
    with tempfile.TemporaryDirectory(prefix="ovenbird-bench-") as name, tempfile.TemporaryFile() as said:
        folder = Path(name)
        files = [str(folder / file) for file in ("job.json", "answer.json", "outputs.npz")]
        write_job(folder / "job.json", dataclasses.replace(job, started=time.perf_counter()))
        process = subprocess.Popen(
            [sys.executable, "-m", "ovenbird.benchmarking.worker", *files],
            env=worker_environment(job.threads),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process, folder, said
        finally:
            stop(process)


def wait_for_answer(
    process: subprocess.Popen[bytes], folder: Path, said: IO[bytes], job: Job, limit_s: float
) -> Answer:
    """Wait until a held process has answered. Raises EngineFailed."""
    end = time.monotonic() + limit_s
    while not (folder / "answer.json").exists():
        if process.poll() is not None:
            raise EngineFailed(f"{job.engine} failed: {ended(process.returncode, said)}")
        if time.monotonic() > end:
            raise EngineFailed(f"{job.engine} was not ready within {limit_s:.0f} s")
        time.sleep(POLL_S)
    return read_answer(folder / "answer.json")


UNASKED = frozenset({"PYTHONDONTWRITEBYTECODE", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"})
"""Variables that a process does not get: Python keeps what it compiles of packages, as it does of installed ones, and
threads wait as their library has it, which for ncnn's and torch's makes a third of the time."""


def worker_environment(threads: int) -> dict[str, str]:
    """Return a process's environment: this one's packages, and its thread count in the words of OpenMP, MKL and TVM."""
    count = str(threads)
    kept = {name: value for name, value in environment().items() if name not in UNASKED}
    return kept | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "TVM_NUM_THREADS": count}


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def ended(code: int, said: IO[bytes]) -> str:
    """Return how a process ended, by what it wrote to a file."""
    said.seek(0)
    return ending(code, said.read().decode("utf-8", "replace"))


def run_module(module: str, arguments: Sequence[str], threads: int, limit_s: float) -> dict[str, Any]:
    """Run one of the benchmark's own measuring programs and return the JSON it prints last. Raises EngineFailed."""
    name = module.rpartition(".")[2]
    variables = worker_environment(threads) | {"TVM_BIND_THREADS": "0"}
    try:
        done = python_process(["-m", module, *arguments], limit_s, variables)
    except subprocess.TimeoutExpired:
        raise EngineFailed(f"{name} was not done within {limit_s:.0f} s") from None
    if done.returncode != 0:
        raise EngineFailed(f"{name} failed: {ending(done.returncode, done.stderr)}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def run_preparing(request: preparing.PrepareRequest) -> dict[str, Any]:
    """Prepare one network in a process of its own; return what `network.json` says. Raises what that process raised."""
    folder = Path(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    error_file, request_file = folder / preparing.ERROR_FILE, folder / "request.json"
    error_file.unlink(missing_ok=True)
    request_file.write_text(json.dumps(dataclasses.asdict(request)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ovenbird.benchmarking.preparing", str(request_file)], env=environment(), check=False
    )
    if error_file.exists():
        failure = json.loads(error_file.read_text(encoding="utf-8"))
        raise getattr(errors, failure["error"], errors.CompilerError)(failure["message"])
    if done.returncode != 0:
        raise errors.BenchmarkError(f"preparing {request.model} ended with exit code {done.returncode}")
    network: dict[str, Any] = json.loads((folder / NETWORK_FILE).read_text(encoding="utf-8"))
    return network
