"""Run torchvision's classifiers under `torch.compile(backend="ovenbird")`: are they right, are they whole, how fast.

    .venv/bin/python ci/steps/torch_compile.py --output rows.tsv        # all, small first; goes on where it stopped
    .venv/bin/python ci/steps/torch_compile.py --output rows.tsv --minutes 30       # begins none after half an hour
    .venv/bin/python ci/steps/torch_compile.py resnet18 --peer inductor --threads 1

Each network runs in a process of its own, with seeded random weights whose batch norms have statistics of their own.
A row: the network, graphs that ran compiled, graphs left to torch, error over the answers' spread, seconds of the first
call, seconds of the first call of a second process, and the shortest milliseconds of a call, ours and the peer's, taken
in turns. The exit code is 1 where one is off by more than the limit, or left a graph to torch.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ovenbird.networks.torchvision import import_torchvision

COLUMNS = ("network", "compiled", "eager", "error", "first_s", "second_s", "ms", "peer_ms", "why")
LIMIT = 1e-4
"""Of the error, as a share of the answers' spread; where it is small, of the answers themselves."""


def main() -> int:
    """Run the networks; return the exit code."""
    parser = argparse.ArgumentParser(description='Run classifiers under torch.compile(backend="ovenbird").')
    parser.add_argument("networks", nargs="*", help="[default: torchvision's classifiers]")
    parser.add_argument("--peer", choices=["inductor", "eager"], help="time it as well")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="of timing for each")
    parser.add_argument("--output", type=Path, help="a file of rows; networks that have one are not run again")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no network after these")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(options.networks[0], options.peer, options.threads, options.seconds)))
        return 0
    done, end = _read(options.output), time.monotonic() + 60 * options.minutes
    print("\t".join(COLUMNS), flush=True)
    for name in options.networks or classifiers():
        if name not in done:
            if time.monotonic() > end:
                break
            done[name] = _measure(name, options)
            if options.output is not None:
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(_line(done[name]))
        print(_line(done[name]), end="", flush=True)
    ratios = [float(row["ms"]) / float(row["peer_ms"]) for row in done.values() if row["ms"] and row["peer_ms"]]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"# {len(ratios)} timed: geometric mean {mean:.2f} of {options.peer}'s time, largest {max(ratios):.2f}")
    wrong = [name for name, row in done.items() if row["why"]]
    if wrong:
        print(f"# not right, or not whole: {', '.join(wrong)}")
    return int(bool(wrong))


def classifiers() -> list[str]:
    """Return the names of torchvision's classifiers, by their operations: what is left at a stop are the large ones."""
    models = import_torchvision().models

    def operations(name: str) -> float:
        return float(models.get_model_weights(name).DEFAULT.meta["_ops"])

    return sorted(map(str, models.list_models(module=models)), key=operations)


def _read(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None or not path.is_file():
        return {}
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}


def _line(row: dict[str, Any]) -> str:
    return "\t".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()) + "\n"


def _measure(name: str, options: Any) -> dict[str, Any]:
    """Run a network twice, each time from nothing: the second start is warm."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", __file__, name, "--one"]
    command += ["--threads", str(options.threads), "--seconds", str(options.seconds)]
    row = dict.fromkeys(COLUMNS, "") | {"network": name}
    for place, peer in enumerate((options.peer, None)):
        done = subprocess.run(
            [*command, *(["--peer", peer] if peer else [])], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return row | {"why": (done.stderr.strip().splitlines() or ["it died"])[-1].replace("\t", " ")}
        found = json.loads(done.stdout.splitlines()[-1])
        if place:
            row["second_s"] = found["first_s"]
        else:
            row |= found
    return row


def run(name: str, peer: str | None, threads: int, seconds: float) -> dict[str, Any]:
    """Run one network in this process."""
    import torch

    models = import_torchvision().models
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    own = (
        {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    )  # without it they warn, and take long
    net = models.get_model(name, weights=None, **own)
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    net.eval()
    size = models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    image = torch.randn(1, 3, size, size)
    call = torch.compile(net, backend="ovenbird", options={"threads": threads})
    with torch.no_grad(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        began = time.perf_counter()
        given = call(image)
        first = time.perf_counter() - began
        right = net(image)
        off = float((given - right).abs().max() / max(float(right.std()), 1e-6))
        from ovenbird.dynamo.compiled import LIVE
        from ovenbird.dynamo.reporting import EagerFallback

        eager = [str(one.message) for one in said if isinstance(one.message, EagerFallback)]
        compiled = sum(graph.loaded is not None for graph in LIVE)
        why = (
            "; ".join(eager)
            or ("" if off <= LIMIT else f"off by {off:.1e}")
            or ("" if compiled else "nothing compiled")
        )
        row = {"compiled": compiled, "eager": len(eager), "error": off, "first_s": first, "why": why}
        if peer is not None:
            other = net if peer == "eager" else torch.compile(net, backend=peer)
            row["ms"], row["peer_ms"] = _in_turns((lambda: call(image)), (lambda: other(image)), seconds)
    return row


def _in_turns(one: Callable[[], Any], two: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Return the shortest milliseconds of each, called in turns of five."""
    best = [math.inf, math.inf]
    one(), two()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for place, call in enumerate((one, two)):
            for _ in range(5):
                began = time.perf_counter()
                call()
                best[place] = min(best[place], (time.perf_counter() - began) * 1000)
    return best[0], best[1]


if __name__ == "__main__":
    sys.exit(main())
