"""Run torchvision's classifiers under `torch.compile(backend="ovenbird")`: are they right, are they whole, how fast.

    .venv/bin/python ci/torch_compile                       check all, small ones first; goes on where it stopped
    .venv/bin/python ci/torch_compile resnet18 vgg16 --again        these
    .venv/bin/python ci/torch_compile --minutes 30          begin none after half an hour
    .venv/bin/python ci/torch_compile --warm                start those that were checked once more, on a quiet machine
    .venv/bin/python ci/torch_compile --time --prepare      fill inductor's cache, so that timing compiles nothing
    .venv/bin/python ci/torch_compile --time                time those that were checked, in turns with inductor
    .venv/bin/python ci/torch_compile --page                add what was found to docs/benchmarks, write the page

Each network runs in a process of its own, with seeded random weights whose batch norms have statistics of their own; a
second process starts with what the first left in the cache. The exit code is 1 where one is not right, or not whole.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from page import PAGE, page
from rows import RECORD, Row, read, write

from ovenbird.benchmarking.report.machine import processor_name
from ovenbird.networks.torchvision import import_torchvision
from ovenbird.process.git import ask_git

ROOT = Path(__file__).resolve().parents[2]
RUNNING = Path(__file__).with_name("running.py")


def main(arguments: Sequence[str]) -> int:
    """Run the networks; return the exit code."""
    parser = argparse.ArgumentParser(prog="ci/torch_compile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", help="[default: torchvision's classifiers]")
    parser.add_argument("--warm", action="store_true", help="start those that were checked once more")
    parser.add_argument("--time", action="store_true", help="time those that were checked, in turns with the peer")
    parser.add_argument("--prepare", action="store_true", help="with --time: compile the peer's code, time nothing")
    parser.add_argument("--peer", choices=["inductor", "eager"], default="inductor")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for timing [all]")
    parser.add_argument("--again", action="store_true", help="also those that have a result")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no network after these")
    parser.add_argument("--page", action="store_true", help="add the results to the page and end")
    parser.add_argument("--results", type=Path, default=ROOT / "build/torch_compile.json", metavar="FILE")
    options = parser.parse_args(arguments)
    rows = read(options.results)
    if options.page:
        write(RECORD, read(RECORD) | rows)
        PAGE.write_text(page(list(read(RECORD).values()), classifiers()), encoding="utf-8")
        return 0
    end = time.monotonic() + 60 * options.minutes
    for name in options.networks or classifiers():
        row = rows.get(name)
        if _is_left(row, options) and time.monotonic() < end:
            row = _way(options)(row or Row(name), options)
            rows = read(options.results) | {name: row}  # another process may have added some
            write(options.results, rows)
        if row is not None:
            print(_line(row), flush=True)
    wrong = [name for name, row in rows.items() if row.why]
    if wrong:
        print(f"# not right, or not whole: {', '.join(wrong)}")
    return int(bool(wrong))


def classifiers() -> list[str]:
    """Return the names of torchvision's classifiers, by their operations: what is left at a stop are the large ones."""
    models = import_torchvision().models

    def operations(name: str) -> float:
        return float(models.get_model_weights(name).DEFAULT.meta["_ops"])

    return sorted(map(str, models.list_models(module=models)), key=operations)


def _is_left(row: Row | None, options: Any) -> bool:
    """Return whether a network is still to be run."""
    if not (options.time or options.warm):
        return row is None or options.again
    return row is not None and not row.why and (options.warm or row.ratio is None or options.again)


def _way(options: Any) -> Callable[[Row, Any], Row]:
    return _warmed if options.warm else _timed if options.time else _checked


def _checked(row: Row, options: Any) -> Row:
    """Run a network twice, each time from nothing: the second start is warm."""
    place = {"chip": processor_name(), "commit": ask_git(ROOT, "rev-parse", "--short", "HEAD") or ""}
    row = Row(row.network, **place)
    for found in (_run(row.network, "start"), _run(row.network, "start")):
        if "why" not in found:
            return replace(row, why=found["died"])
        first = found["seconds"] if row.first_s is None else row.first_s
        row = Row(row.network, first_s=first, **place, **{key: found[key] for key in found if key != "seconds"})
        if row.why:
            return row
    return replace(row, warm_s=found["seconds"])


def _warmed(row: Row, options: Any) -> Row:
    """Start a network that was checked once more, from the cache."""
    found = _run(row.network, "start")
    if found.get("why", found.get("died")):
        return replace(row, why=found.get("why", found.get("died")))
    return replace(row, warm_s=found["seconds"], ours_s=found["ours_s"], processor_s=found["processor_s"])


def _timed(row: Row, options: Any) -> Row:
    """Time a network that was checked, or compile the peer's code only."""
    found = _run(row.network, "prepare" if options.prepare else "time", options.peer, str(options.threads))
    if "died" in found:
        return replace(row, not_timed=found["died"])
    return replace(row, not_timed="", peer=options.peer, threads=options.threads, **found)


def _run(*arguments: str) -> dict[str, Any]:
    """Run a network in a process of its own, and return what it says."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(RUNNING), *arguments]
    # As a user's: a second start finds compiled Python.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        return {"died": (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _line(row: Row) -> str:
    """Return a row as one line."""
    parts: list[tuple[Any, Callable[[Any], str]]] = [
        (row.error, lambda it: f"error {it:.0e}"),
        (row.first_s, lambda it: f"first {it:.1f} s"),
        (row.warm_s, lambda it: f"warm {it:.2f} s (ours {row.ours_s:.2f}, processor {row.processor_s:.2f})"),
        (row.ratio, lambda it: f"{row.own_ms:.2f} ms, {row.peer} {row.peer_ms:.2f}, ratio {it:.2f}"),
    ]
    texts = [show(value) for value, show in parts if value is not None]
    return f"{row.network}: {', '.join([f'{row.compiled} compiled, {row.eager} eager', *texts])} {row.why}".rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
