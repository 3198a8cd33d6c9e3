"""Compile detectors and time them from a photograph's bytes to its boxes, next to what else runs them.

    .venv/bin/python ci/detectors                       all of them: an hour or two; goes on where it stopped
    .venv/bin/python ci/detectors yolo ssdlite --again  those with a word in their name
    .venv/bin/python ci/detectors --table --minutes 4   a piece of the table of times: until the exit code is not 75
    .venv/bin/python ci/detectors --sample --prepare    five of the table, made ready on a busy machine;
    .venv/bin/python ci/detectors --sample --rounds 5   timed on a quiet one: some minutes
    .venv/bin/python ci/detectors --no-bench            compile and verify them, a minute or two each; time none
    .venv/bin/python ci/detectors --page                write docs/reference/detectors.md from what was found, and
                                                        docs/benchmarks/detectors.md where any was timed

Peers get the same network, its decoding with it, as an ONNX file, and OpenCV for what comes before and after. A
network is run by all in one process, in turn. What was found is kept in a file each in `--results`; the exit code is 1
where one did not compile or could not be timed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from page import PAGE, VERIFIED_PAGE, page, verified
from trying import OutOfTime, Settings, try_detector

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
DETECTORS = Path(__file__).with_name("detectors.toml")
UNFINISHED = 75
"""The exit code where time was over: EX_TEMPFAIL of sysexits.h."""


def main(arguments: Sequence[str]) -> int:
    """Try the detectors and return the exit code."""
    parser = argparse.ArgumentParser(prog="ci/detectors", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="names of detectors, or words in them; all where none is given")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for timing [all]")
    parser.add_argument("--batch-sizes", default="1,8", help="those with code of their own [1,8]")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one engine's turn [0.5]")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each engine [9]")
    parser.add_argument("--no-bench", action="store_true", help="do not time them")
    parser.add_argument("--again", action="store_true", help="also those that have a result")
    parser.add_argument("--keep", action="store_true", help="keep each artifact; it is not compiled again then")
    parser.add_argument("--page", action="store_true", help="write the page from the results and end")
    parser.add_argument("--runtime", type=Path, metavar="FILE", help="a static ovenbird-run: note an image's size")
    parser.add_argument("--photographs", type=int, default=20, help="of ImageNet, to hold them on [20]")
    parser.add_argument("--no-hold", action="store_true", help="do not hold them to their frameworks on photographs")
    parser.add_argument("--table", action="store_true", help="those of the table of times alone")
    parser.add_argument("--sample", action="store_true", help="five of the table, small ones; not held")
    parser.add_argument("--prepare", action="store_true", help="all but the times; what they need is kept")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no step begins after these; exit code 75")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="detectors and photographs")
    parser.add_argument("--results", type=Path, default=ROOT / "build/detectors", metavar="DIR")
    options = parser.parse_args(arguments)
    known: dict[str, Any] = tomllib.loads(DETECTORS.read_text(encoding="utf-8"))
    if options.page:
        files = {name: options.results / f"{name}.json" for name in known}
        titles = [facts["title"] for facts in known.values()]
        untried = [known[name]["title"] for name, file in files.items() if not file.is_file()]
        found = [_read(file) for file in files.values() if file.is_file()]
        before = VERIFIED_PAGE.read_text(encoding="utf-8") if VERIFIED_PAGE.is_file() else ""
        VERIFIED_PAGE.write_text(verified(found, titles, before), encoding="utf-8")
        if any("end_to_end" in one for one in found):
            PAGE.write_text(page(found, untried), encoding="utf-8")
        return 0
    sizes = tuple(int(size) for size in options.batch_sizes.split(","))
    settings = Settings(
        data=options.data.resolve(),
        threads=options.threads,
        batch_sizes=sizes,
        keep=options.keep or options.prepare,
        block_seconds=options.seconds,
        rounds=options.rounds,
        bench=not options.no_bench,
        timed=not options.prepare,
        runtime=options.runtime,
        photographs=None if options.no_hold or options.sample else options.photographs,
        until=time.monotonic() + options.minutes * 60,
    )
    words = options.words or [""]
    part = "sample" if options.sample else "table" if options.table else "title"
    among = [name for name, facts in known.items() if part in facts]
    names = [name for name in among if any(word == name if word in known else word in name for word in words)]
    if not names:
        parser.error(f"no detector has {' or '.join(words)} in its name; there are {', '.join(known)}")
    options.results.mkdir(parents=True, exist_ok=True)
    bad = 0
    for name in names:
        file = options.results / f"{name}.json"
        before = _read(file) if file.is_file() and not options.again else {}
        if before.get("outcome") != "failed":
            work = (options.results / "work" / name).resolve()
            try:
                try_detector(name, known[name], work, settings, partial(_keep, file), before)
            except OutOfTime as error:
                print(f"time is over ({error}); the same command goes on", flush=True)
                return UNFINISHED
        bad += (found := _read(file))["outcome"] != "right"
        print(line(found), flush=True)
    return int(bad > 0)


def _keep(file: Path, found: dict[str, Any]) -> None:
    """Write a result whole or not at all."""
    new = file.with_suffix(".partial")
    new.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    new.rename(file)


def line(found: dict[str, Any]) -> str:
    """Return a result as one line."""
    if found["outcome"] != "right":
        return f"failed {found['name']}: {found['why']}"
    boxes = f"{found['agreed'] * 100:.1f} % of {found['compared']} boxes agree" if found["compared"] else "no boxes"
    if found.get("held"):
        boxes += f", {found['held_agreed']} of {found['held']} on photographs"
    if "end_to_end" not in found:
        spent = "" if found["processor_seconds"] is None else f" ({found['processor_seconds']:.0f} s of processors)"
        took = "" if found["compile_seconds"] is None else f", compiled in {found['compile_seconds']:.0f} s{spent}"
        return f"right {found['name']}: {boxes}{took}, {found['artifact_bytes'] / 1e6:.1f} MB"
    whole = found["end_to_end"]
    others = "; ".join(
        f"{name} {own['ms']:.1f} ({own['low']:.2f}-{own['high']:.2f})" for name, own in whole.items() if "ratio" in own
    )
    return f"right {found['name']}: {whole['ovenbird']['ms']:.1f} ms from JPEG to boxes; {others}"


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
