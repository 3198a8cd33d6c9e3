"""The classic load test: Apache's `ab` against our server, batched and unbatched, and against others, in rounds.

    python ci/load/compare.py artifacts/resnet50 --image photo.jpg -o build/load
    python ci/load/compare.py artifacts/resnet50 --image photo.jpg --onnx build/load/resnet50.onnx -o build/load

Each round starts all servers anew (where a process's memory happens to lie is worth some percent); those that are not
asked are stopped. A round is some passes: in each, for each number of requests at once, each server has one short turn,
in an order that rotates and turns round from pass to pass; the network alone, in process, takes its turn with 16 at
once. A machine's speed changes from second to second (two virtual processors may come to share one core): long turns
would give one server the slow seconds. `ab` shares the machine's processors with the server: compare within one run
only. ci/load/run.sh does all of it. Needs `ab` (Debian: apache2-utils), scipy and matplotlib; the others need
onnxruntime, fastapi, litserve. Writes results.json (with every request's time), throughput.png, latency.png.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asking import Turn, form_of, requests_for, run_ab, run_in_process
from own_cost import ask_one_by_one, own_cost
from plots import plot
from ratios import percentile
from servers import BATCHED, Running, servers_of
from summary import IN_PROCESS, IN_PROCESS_CONCURRENCY, Round, summarise

WARM_REQUESTS = 8
OWN_COST_REQUESTS = 60  # a round


class Comparison:
    """Rounds, what the servers are asked with, and what they report besides the turns."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Begin without servers: each round has its own."""
        self.options = options
        self.servers: dict[str, Running] = {}
        self.memory_mib: dict[str, dict[str, float]] = {}
        self.image: Path = options.image
        self.form = form_of(options.image, options.output)
        found = options.photos.iterdir() if options.photos else []
        self.photos = sorted(path for path in found if path.suffix.lower() in (".jpg", ".jpeg"))
        self.timings: list[dict[str, float]] = []
        self._rates: dict[tuple[str, int], float] = {}  # of the last turn: how long the next will be

    def run_round(self, number: int) -> Round:
        """Start the servers, and return every participant its turns."""
        round_ = Round()
        with contextlib.ExitStack() as stack:
            for server in servers_of(self.options.artifact, self.options.onnx):
                running = self.servers[server.name] = stack.enter_context(Running.start(server, self.options.output))
                running.stop()
            for turn in range(self.options.turns):
                self._pass(round_, number, turn)
            with self._awake(self.servers[BATCHED]):
                count = max(OWN_COST_REQUESTS, len(self.photos))
                self.timings += ask_one_by_one(self.servers[BATCHED].server, self.photos or [self.image], count)
            for name, running in self.servers.items():
                self.memory_mib[name] = {"idle": round(running.idle_mib, 1), "loaded": round(running.loaded_mib, 1)}
        return round_

    def _pass(self, round_: Round, number: int, turn: int) -> None:
        passes = number * self.options.turns + turn
        for concurrency in self.options.concurrency:
            alone = [IN_PROCESS] if concurrency == IN_PROCESS_CONCURRENCY else []
            for name in order_of([*self.servers, *alone], passes):
                if name == IN_PROCESS:
                    for size, done in self._in_process().items():
                        round_.in_process.setdefault(size, []).append(done)
                        _tell(number, turn, f"{name}, batch {size}", concurrency, done)
                else:
                    done = self._ask(self.servers[name], concurrency)
                    round_.asked.setdefault((name, concurrency), []).append(done)
                    _tell(number, turn, name, concurrency, done)

    @contextlib.contextmanager
    def _awake(self, running: Running) -> Iterator[Turn]:
        """Let a server run for its turn, warmed up: after a pause caches and clocks are cold. Gives the warm-up."""
        running.go_on()
        body = self.form if running.server.form else self.image
        yield run_ab(running.server, body, 4, WARM_REQUESTS, self.options.output)
        running.loaded_mib = running.memory_mib()
        running.stop()

    def _ask(self, running: Running, concurrency: int) -> Turn:
        key = running.server.name, concurrency
        with self._awake(running) as warm:
            count = requests_for(self.options.seconds, self._rates.get(key, warm.per_second), concurrency)
            body = self.form if running.server.form else self.image
            turn = run_ab(running.server, body, concurrency, count, self.options.output)
        self._rates[key] = turn.per_second
        return turn

    def _in_process(self) -> dict[int, Turn]:
        return run_in_process(self.options.artifact, self.image, self.options.seconds / 2)


def order_of(names: list[str], passes: int) -> list[str]:
    """Return who comes after whom: nobody always after the same one."""
    first = passes // 2 % len(names)
    order = names[first:] + names[:first]
    return order[::-1] if passes % 2 else order


def _tell(number: int, turn: int, name: str, concurrency: int, done: Turn) -> None:
    times = f"{percentile(done.times_ms, 0.5):8.1f} {done.failed:6}" if done.times_ms else ""
    print(f"{number + 1:3}.{turn + 1} {name:24} {concurrency:7} {done.per_second:8.1f} {times}", flush=True)


def write_results(path: Path, result: dict[str, Any]) -> None:
    """Write JSON whose lists of numbers take a line each, not one for each number."""
    text = json.dumps(result, indent=2)
    path.write_text(re.sub(r"\[([\d\s.,]+)\]", lambda match: f"[{' '.join(match[1].split())}]", text) + "\n")


def main() -> None:
    """Run everything, print each turn, write the results and the plots."""
    parser = argparse.ArgumentParser(description="Compare servers with ab, in rounds.")
    parser.add_argument("artifact")
    parser.add_argument("--image", required=True, type=Path)
    parser.add_argument("--photos", type=Path, help="Folder of JPEGs for the server's own cost [the image].")
    parser.add_argument("--onnx")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=4, help="Of each server, for each number of requests at once.")
    parser.add_argument("--seconds", type=float, default=1, help="For each turn; three waves of requests at least.")
    parser.add_argument("--concurrency", default=(1, 8, 16, 64), type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(options)
    print(f"{'turn':>5} {'server':24} {'at once':>7} {'req/s':>8} {'p50 ms':>8} {'failed':>6}")
    rounds = [comparison.run_round(number) for number in range(options.rounds)]
    result: dict[str, Any] = {"rounds": options.rounds, "turns": options.turns, "seconds": options.seconds}
    result |= summarise(rounds)
    result["memory_mib"] = comparison.memory_mib
    result["own_cost"] = {"photos": len(comparison.photos) or 1} | own_cost(comparison.timings)
    write_results(options.output / "results.json", result)
    plot(result["servers"], options.output)
    for row in result["ratios"]:
        turns = row.get("by_turn", {"median": row.get("pooled")})
        figures = f"{turns['median']:.3f} {turns.get('ci', '')} ({row['least']:.3f}-{row['most']:.3f})"
        print(f"{row['what']:44} {row['concurrency']:3}  {figures}")
    print("own cost:", json.dumps(result["own_cost"]))


if __name__ == "__main__":
    main()
