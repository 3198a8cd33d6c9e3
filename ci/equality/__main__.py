"""Hold the C++ runtime's outputs to the Python runtime's, bit for bit: networks, batch sizes, pipelines, processors.

    .venv/bin/python ci/equality                        all: hours, most of them an emulator's; goes on where it stopped
    .venv/bin/python ci/equality resnet --minutes 20    those with a word in their name; after 20 minutes exit code 75
    .venv/bin/python ci/equality --no-arm               without ARM's code, which needs root once (arm64_root.sh)
    .venv/bin/python ci/equality --page                 write docs/benchmarks/equality.md from what was found

Each network is compiled for x86-64-v2, v3, v4 and aarch64. Both runtimes run the same tensors of photographs, in
processes of their own, and each output's sha256 is compared; pixels are compared pipeline by pipeline. ARM's code, and
the C++ runtime on older x86-64 processors, run under qemu's user-mode emulation, on fewer photographs of large networks
(`emulated` in networks.toml). The exit code is 1 where anything differs or could not be held.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machines import MACHINES, Sides
from page import PAGE, RECORD, page, recorded
from photographs import photographs
from trying import Failed, Found, OutOfTime, Settings, read, try_network, write

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = Path(__file__).with_name("networks.toml")
UNFINISHED = 75
"""The exit code where time was over: EX_TEMPFAIL of sysexits.h."""


def main(arguments: Sequence[str]) -> int:
    """Hold the networks and return the exit code."""
    parser = argparse.ArgumentParser(prog="ci/equality", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="networks, or words in their names; all where none is given")
    parser.add_argument("--photographs", type=int, default=200, metavar="N", help="a multiple of 8 [200]")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no step begins after these; exit code 75")
    parser.add_argument(
        "--emulated", type=int, metavar="N", help="photographs at most under emulation, a multiple of 8"
    )
    parser.add_argument("--no-arm", action="store_true", help="without ARM's code")
    parser.add_argument("--page", action="store_true", help="write the page from the results and end")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="networks and photographs")
    parser.add_argument("--results", type=Path, default=ROOT / "build/equality", metavar="DIR")
    options = parser.parse_args(arguments)
    known: dict[str, Any] = tomllib.loads(NETWORKS.read_text(encoding="utf-8"))
    names = [name for name in known if any(word in name for word in options.words or [""])]
    if not names:
        parser.error(f"no network has {' or '.join(options.words)} in its name; there are {', '.join(known)}")
    pictures = photographs(options.data, options.results / "views", options.photographs)
    if options.page:
        found = recorded(options.results, list(known), pictures)
        write(RECORD, found)
        PAGE.write_text(page(found), encoding="utf-8")
        return 0
    until = time.monotonic() + options.minutes * 60
    emulated = options.photographs if options.emulated is None else options.emulated
    settings = Settings(options.data.resolve(), options.results.resolve(), pictures, until, emulated)
    (settings.results / "work").mkdir(parents=True, exist_ok=True)
    sides = _sides(options.no_arm)
    for why in filter(None, map(sides.why_not, MACHINES)):
        print(f"left out: {why}", flush=True)
    bad = 0
    for name in names:
        try:
            found = try_network(name, known[name], settings, sides)
            bad += any(one["differ"] for one in found["held"].values())
            print(line(found), flush=True)
        except Failed as error:
            bad += 1
            print(f"failed {name}: {error}", flush=True)
        except OutOfTime:
            print(f"time is over at {name}; the same command goes on", flush=True)
            return UNFINISHED
    for one in (read(settings.results / "pipelines.json") or {}).values():
        for machine, held in one["held"].items():
            differ = len(held["differ"])
            print(f"pixels of {one['name']}, {machine}: {held['photographs']} photographs, {differ} differ", flush=True)
            bad += bool(differ)
    return int(bad > 0)


def line(found: Found) -> str:
    """Return a network's result as one line."""
    parts = [
        f"{machine} {one['outputs']} outputs of {one['photographs']} photographs, {len(one['differ'])} differ"
        for machine, one in found["held"].items()
        if one["photographs"]
    ]
    return f"{found['name']}: {'; '.join(parts)}"


def _sides(no_arm: bool) -> Sides:
    """Build what is missing of both runtimes."""
    _step("ci/steps/native.sh")
    if no_arm:
        return Sides(ROOT / "build/native", None, None)
    _step("ci/steps/native.sh", "--cross", "aarch64")
    root = _step("env", f"VENV={sys.prefix}", "ci/steps/arm64_root.sh").split()[-1]
    return Sides(ROOT / "build/native", ROOT / "build/native-aarch64", ROOT / root)


def _step(*command: str) -> str:
    """Run a step of the pipeline; return what it prints, or end with its message."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: {command[0]} failed; its message is above (--no-arm does without ARM's code)")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
