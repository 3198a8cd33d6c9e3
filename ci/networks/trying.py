"""One network: compile it by `ovenbird compile`, in a process of its own, and time what came out.

result = try_network("timm:convnext_atto", Path("build/networks/work"), Settings())
result.outcome, result.error, result.seconds, result.ratio
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.report.machine import processor_name
from ovenbird.process.git import ask_git

RIGHT, REFUSED, WRONG, INTERNAL, CRASHED = "right", "refused", "WRONG", "INTERNAL", "CRASHED"
FAULTS = {"VerificationFailed": WRONG, "InternalError": INTERNAL}
"""What is no refusal, by the name of the error."""
HERE = Path(__file__).parent
LIMIT_S = 1800
"""A compile that takes longer hangs. The child stays in our group of processes, which signals may stop and continue."""
PREPARE_LIMIT_S = 900


@dataclass(frozen=True)
class Settings:
    """How networks are compiled and timed."""

    weights: str = "random:0"
    batch_sizes: str = "1"
    threads: int = 1
    bench: bool = True
    keep: bool = False


@dataclass(frozen=True)
class Result:
    """What became of a network. Memory in bytes, times in seconds; None where something was not measured."""

    name: str
    outcome: str
    why: str = ""
    settings: str = ""
    error: float | None = None
    """The largest error of any output, in units of its spread over the inputs."""
    seconds: float | None = None
    processor_seconds: float | None = None
    peak_bytes: int | None = None
    weights_bytes: int | None = None
    """As the network was imported, before they are packed for a target."""
    artifact_bytes: int | None = None
    kernels: int | None = None
    ours_s: float | None = None
    theirs_s: float | None = None
    quartiles: tuple[float, float] | None = None
    not_timed: str = ""
    chip: str = ""
    commit: str = ""
    """Of this repository, as it compiled."""

    @property
    def ratio(self) -> float | None:
        """Our time by ONNX Runtime's."""
        return self.ours_s / self.theirs_s if self.ours_s is not None and self.theirs_s else None

    @property
    def memory_share(self) -> float | None:
        """What the compiler took beyond 1 GB, by the weights."""
        if self.peak_bytes is None or not self.weights_bytes:
            return None
        return max(0.0, self.peak_bytes - 1e9) / self.weights_bytes


def try_network(name: str, work: Path, settings: Settings) -> Result:
    """Compile and time one network in the folder `work`, which is emptied before."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    compiled = _compiled(name, work, settings)
    commit = ask_git(HERE, "rev-parse", "--short", "HEAD") or ""
    found = Result(name=name, chip=processor_name(), settings=_words(settings), commit=commit, **compiled)
    return time_network(found, work, settings)


def time_network(found: Result, work: Path, settings: Settings) -> Result:
    """Time the artifact in the folder `work`, where timing is wanted; empty the folder where it is not kept."""
    try:
        if found.outcome == RIGHT and settings.bench:
            return replace(found, settings=_words(settings), **_timed(found.name, work, settings))
        return found
    finally:
        if not settings.keep:
            shutil.rmtree(work, ignore_errors=True)


def _words(settings: Settings) -> str:
    many = "threads" if settings.threads > 1 else "thread"
    return f"{settings.weights}, batch {settings.batch_sizes}, {settings.threads} {many}"


def _compiled(name: str, work: Path, settings: Settings) -> dict[str, Any]:
    """Compile in a child; return what it said and what it took."""
    artifact = work / "artifact"
    command = [sys.executable, "-m", "ovenbird", "compile", name, "--weights", settings.weights, "--json", "--quiet"]
    command += ["--batch-sizes", settings.batch_sizes, "--tuning-records", "none", "--output", str(artifact)]
    out, err = work / "out.json", work / "err.txt"
    started = time.perf_counter()
    with out.open("wb") as said, err.open("wb") as told:
        child = subprocess.Popen(["timeout", "--foreground", str(LIMIT_S), *command], stdout=said, stderr=told)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    took = {
        "seconds": time.perf_counter() - started,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }
    if child.returncode:
        lines = [line for line in err.read_text(errors="replace").splitlines() if line.strip()]
        why = next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "no word")
        refused = child.returncode in (1, 2) and why.startswith("error:")
        kind = why.removeprefix("error:").split(":")[0].strip()
        return took | {"outcome": FAULTS.get(kind, REFUSED) if refused else CRASHED, "why": why[:300]}
    report = json.loads(out.read_text(encoding="utf-8"))
    figures = report["parity"]["programs"]["main"]["variants"]["host"]["outputs"]
    return took | {
        "outcome": RIGHT,
        "error": max(output["peak"] for output in figures.values()),
        "weights_bytes": report["weights_bytes"],
        "artifact_bytes": report["size_bytes"],
        "kernels": _kernels(artifact),
    }


def _kernels(artifact: Path) -> int | None:
    """Return how many calls the plan has, where the artifact has one."""
    plans = sorted(artifact.rglob("plan.json"))
    if not plans:
        return None
    entries = json.loads(plans[0].read_text(encoding="utf-8"))["entries"]
    return len(entries[0]["calls"])


def _timed(name: str, work: Path, settings: Settings) -> dict[str, Any]:
    """Time the artifact against ONNX Runtime; say why where that cannot be done."""
    from ovenbird.benchmarking.jobs import NETWORK_FILE
    from ovenbird.benchmarking.preparing import ERROR_FILE

    request = work / "request.json"
    facts = {"folder": str(work), "model": str(work / "artifact"), "batch_sizes": [1], "quiet": True}
    facts |= {"network": name, "weights": settings.weights}
    request.write_text(json.dumps(facts), encoding="utf-8")
    preparing = [sys.executable, "-m", "ovenbird.benchmarking.preparing", str(request)]
    done = subprocess.run(preparing, capture_output=True, text=True, check=False, timeout=PREPARE_LIMIT_S)
    if done.returncode:
        told = work / ERROR_FILE
        why = json.loads(told.read_text())["message"] if told.is_file() else _last_line(done.stderr)
        return {"not_timed": why[:200]}
    reason = json.loads((work / NETWORK_FILE).read_text(encoding="utf-8"))["onnx"]["1"]
    if reason:
        return {"not_timed": reason[:200]}
    timing = [sys.executable, str(HERE / "timing.py"), str(work), str(settings.threads)]
    done = subprocess.run(timing, capture_output=True, text=True, check=False, timeout=PREPARE_LIMIT_S)
    if done.returncode:
        return {"not_timed": _last_line(done.stderr)[:200]}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
