"""Compile networks of torchvision and timm with random weights, verify them, and time them against ONNX Runtime.

    .venv/bin/python ci/networks                        all of them: hours; goes on where it stopped
    .venv/bin/python ci/networks convnext timm:pit_ti_224 --again       those with a word in their name
    .venv/bin/python ci/networks @names.txt             those of a file, a line each, in its order
    .venv/bin/python ci/networks --sample 10 --no-bench                 every tenth, not timed
    .venv/bin/python ci/networks --left --no-bench      those that the page has nothing of
    .venv/bin/python ci/networks --page                 add what was found to docs/benchmarks, write the page

Each network is compiled by `ovenbird compile` in a process of its own; what became of it is kept in a file in
`--results`. The exit code is 1 where one was wrong, crashed, or met an error that is called internal.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from choosing import all_networks, chosen, left_out
from page import PAGE, page
from recorded import RECORD, file_of, kept, read, recorded, write, write_record
from trying import REFUSED, RIGHT, Result, Settings, time_network, try_network

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """Try the networks and return the exit code."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="ci/networks", description=about, fromfile_prefix_chars="@")
    parser.add_argument("words", nargs="*", help="networks, or words in their names; all where none is given")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="every Nth network only")
    parser.add_argument("--no-bench", action="store_true", help="do not time them")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for timing [all]")
    parser.add_argument("--batch-sizes", default="1", help="those with code of their own [1]")
    parser.add_argument("--weights", default="random:0", help="what all are compiled with [random:0]")
    parser.add_argument("--again", action="store_true", help="also those that have a result")
    parser.add_argument("--keep", action="store_true", help="keep each artifact, to be timed later")
    parser.add_argument("--left", action="store_true", help="only those that the page has nothing of")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--page", action="store_true", help="add the results to the page and end")
    parser.add_argument("--results", type=Path, default=ROOT / "build/networks", metavar="DIR")
    options = parser.parse_args(arguments)
    names = chosen(options.words, options.sample)
    if options.left:
        names = [name for name in names if name not in recorded(RECORD)]
    if options.list:
        print("\n".join(names))
        return 0
    options.results.mkdir(parents=True, exist_ok=True)
    if options.page:
        results = recorded(RECORD) | kept(options.results)
        write_record(RECORD, results)
        PAGE.write_text(page(list(recorded(RECORD).values()), left_out(), all_networks()), encoding="utf-8")
        return 0
    settings = Settings(options.weights, options.batch_sizes, options.threads, not options.no_bench, options.keep)
    return try_all(names, options.results, settings, options.again)


def try_all(names: Sequence[str], results: Path, settings: Settings, again: bool) -> int:
    """Try the networks that have no result yet, with a line for each."""
    bad = 0
    for done, name in enumerate(names, 1):
        file = file_of(results, name)
        found = read(file) if file.is_file() and not again else None
        untimed = found and settings.bench and found.outcome == RIGHT and not (found.ratio or found.not_timed)
        if found is None or untimed:
            work = (results / "work" / file.stem).resolve()
            if found and (work / "artifact").is_dir():
                found = time_network(found, work, settings)
            else:
                found = try_network(name, work, settings)
            write(file, found)
        bad += found.outcome not in (RIGHT, REFUSED)
        print(f"{done}/{len(names)} {line(found)}", flush=True)
    return int(bad > 0)


def line(found: Result) -> str:
    """Return a result as one line."""
    if found.outcome != RIGHT:
        return f"{found.outcome} {found.name}: {found.why} ({found.seconds:.0f} s)"
    speed = f"ratio {found.ratio:.2f}" if found.ratio else f"not timed {found.not_timed}"
    return (
        f"{found.outcome} {found.name}: error {found.error:.0e}, {found.seconds:.0f} s "
        f"({found.processor_seconds:.0f} of the processor), {(found.peak_bytes or 0) / 1e6:.0f} MB, "
        f"{found.kernels} kernels, {speed}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
