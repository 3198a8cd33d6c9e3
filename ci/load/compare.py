"""The classic load test: Apache's `ab` against our server, batched and unbatched, and against others, in rounds.

    python ci/load/compare.py artifacts/resnet50 --image photo.jpg -o build/load
    python ci/load/compare.py artifacts/resnet50 --image photo.jpg --onnx build/load/resnet50.onnx -o build/load

Each round starts all servers anew (where a process's memory happens to lie is worth some percent); those that are not
asked are stopped. For each number of requests at once each server is asked for some seconds, in an order that rotates
and turns round; the network alone, in process, takes its turn beside 16 at once. `ab` shares the machine's
processors with the server: compare within one run only. ci/load/run.sh does all of it. Needs `ab` (Debian:
apache2-utils) and matplotlib; the others need onnxruntime, fastapi, litserve. Writes results.json, throughput.png,
latency.png.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

from asking import form_of, requests_for, run_ab, run_in_process
from own_cost import ask_one_by_one, own_cost
from plots import plot
from servers import BATCHED, Running, servers_of
from summary import IN_PROCESS, IN_PROCESS_CONCURRENCY, Rows, summarise

WARM_REQUESTS = 16
OWN_COST_REQUESTS = 60  # a round


class Comparison:
    """Rounds, what the servers are asked with, and what is told by them beside the turns."""

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

    def run_round(self, number: int) -> Rows:
        """Start the servers, and give every participant its turns, the first of them another one in each round."""
        with contextlib.ExitStack() as stack:
            for server in servers_of(self.options.artifact, self.options.onnx):
                running = self.servers[server.name] = stack.enter_context(Running.start(server, self.options.output))
                running.stop()
            rows = self._take_turns(number)
            for name, running in self.servers.items():
                self.memory_mib[name] = {"idle": round(running.idle_mib, 1), "loaded": round(running.loaded_mib, 1)}
        return rows

    def _take_turns(self, number: int) -> Rows:
        rows: Rows = {}
        for concurrency in self.options.concurrency:
            turns = list(self.servers) + ([IN_PROCESS] if concurrency == IN_PROCESS_CONCURRENCY else [])
            first = number // 2 % len(turns)
            order = turns[first:] + turns[:first]
            for name in reversed(order) if number % 2 else order:  # nobody always comes after the same one
                row = self._in_process() if name == IN_PROCESS else self._ask(self.servers[name], concurrency)
                rows[name, concurrency] = row
                times = f"{row['p50_ms']:8.1f} {row['p99_ms']:8.1f} {row['failed']:6}" if "failed" in row else ""
                print(f"{number + 1:5} {name:24} {concurrency:7} {row['per_second']:8.1f} {times}", flush=True)
        with self._awake(self.servers[BATCHED]) as running:
            count = max(OWN_COST_REQUESTS, len(self.photos))
            self.timings += ask_one_by_one(running.server, self.photos or [self.image], count)
        return rows

    @contextlib.contextmanager
    def _awake(self, running: Running) -> Any:
        """Let a server run for its turn, warmed up: after a pause caches and clocks are cold."""
        running.go_on()
        body = self.form if running.server.form else self.image
        self._rate = run_ab(running.server, body, 4, WARM_REQUESTS, self.options.output)["per_second"]
        yield running
        running.loaded_mib = running.memory_mib()
        running.stop()

    def _ask(self, running: Running, concurrency: int) -> dict[str, Any]:
        with self._awake(running):
            count = requests_for(self.options.seconds, self._rate, concurrency)
            body = self.form if running.server.form else self.image
            return run_ab(running.server, body, concurrency, count, self.options.output)

    def _in_process(self) -> dict[str, Any]:
        return run_in_process(self.options.artifact, self.image, self.options.seconds / 2)


def main() -> None:
    """Run everything, print each turn, write the results and the plots."""
    parser = argparse.ArgumentParser(description="Compare servers with ab, in rounds.")
    parser.add_argument("artifact")
    parser.add_argument("--image", required=True, type=Path)
    parser.add_argument("--photos", type=Path, help="Folder of JPEGs for the server's own cost [the image].")
    parser.add_argument("--onnx")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="For each turn.")
    parser.add_argument("--concurrency", default=(1, 8, 16, 64), type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(options)
    print(f"{'round':>5} {'server':24} {'at once':>7} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'failed':>6}")
    rounds = [comparison.run_round(number) for number in range(options.rounds)]
    result: dict[str, Any] = {"rounds": options.rounds, "seconds": options.seconds} | summarise(rounds)
    result["memory_mib"] = comparison.memory_mib
    result["own_cost"] = {"photos": len(comparison.photos) or 1} | own_cost(comparison.timings)
    (options.output / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(result["servers"], options.output)
    for row in result["ratios"]:
        print(f"{row['what']:44} {row['concurrency']:3}  {row['median']:.3f} ({row['least']:.3f}-{row['most']:.3f})")
    print("own cost:", json.dumps(result["own_cost"]))


if __name__ == "__main__":
    main()
