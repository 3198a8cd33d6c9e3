"""The classic load test: Apache's `ab` against our server, batched and unbatched, and against others.

    python ci/load/compare.py artifacts/resnet50 --image photo.jpg -o build/load
    python ci/load/compare.py artifacts/resnet50 --image photo.jpg --onnx build/load/resnet50.onnx -o build/load

ci/load/run.sh does all of it. Needs `ab` (Debian: apache2-utils) and matplotlib; the others need onnxruntime, fastapi,
litserve. `ab` shares the machine's processors with the server: compare within one run only. The network alone, in
process, is timed before the servers and after them. Writes results.json, throughput.png, latency.png.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PORT = 8290
BOUNDARY = "ovenbird-load"


@dataclass
class Server:
    """One server: how to start it, where to ask, what to send."""

    name: str
    command: list[str]
    path: str
    ready: str
    form: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def servers_of(artifact: str, onnx: str | None) -> list[Server]:
    """Give the servers that this run compares."""
    name = json.loads((Path(artifact) / "manifest.json").read_text())["model"]["name"]
    ours = [sys.executable, "-m", "ovenbird_runtime.cli", "serve", artifact, "--no-access-log"]
    ours += ["--timeout-ms", "20000", "--port", str(PORT)]
    route, ready = f"/v1/models/{name}:predict", "/v2/health/ready"
    found = [
        Server("ovenbird", ours, route, ready),
        Server("ovenbird, unbatched", [*ours, "--max-batch", "1"], route, ready),
    ]
    if onnx:
        more = {"ONNX": str(Path(onnx).resolve())}
        for peer, path, health, form in (
            ("fastapi", "/predict", ready, False),
            ("litserve", "/predict", "/health", True),
        ):
            command = [sys.executable, str(HERE / f"peer_{peer}.py"), str(PORT)]
            found.append(Server(f"{peer} + onnxruntime", command, path, health, form, more))
    return found


def wait_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait for a server's health route."""
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{server.ready}", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{server.name} did not become ready")


def memory_mib(process: subprocess.Popen[bytes]) -> float:
    """Give the resident memory of a process and its children, in MiB; shared pages count once a process."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in found.splitlines()]
    family, size = {process.pid}, 0
    while len(family) != size:
        size = len(family)
        family |= {pid for pid, parent, _ in rows if parent in family}
    return sum(rss for pid, _, rss in rows if pid in family) / 1024


def in_process(artifact: str, image: Path) -> dict[str, Any]:
    """Time predictions from the decoded picture without a server, one call after the other; give the images a second of
    the best batch size.
    """
    sizes = [str(size) for size in (1, 2, 4, 8)]
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "bench", artifact, "--image", str(image)]
    command += ["--seconds", "2", "--json"]
    command += [word for size in sizes for word in ("--batch", size)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    best = max(told["timings"], key=lambda timing: timing["images_per_second"])
    row = {"server": "in process", "batch": best["batch"], "per_second": best["images_per_second"]}
    print(f"{row['server']:26} {'':7} {row['per_second']:8.1f}  (ovenbird-rt bench, batch {row['batch']})", flush=True)
    return row


def run_ab(server: Server, body: Path, concurrency: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Run `ab` for some seconds; give requests/s, the times in ms and what went wrong."""
    table = folder / "ab.csv"
    kind = f"multipart/form-data; boundary={BOUNDARY}" if server.form else "image/jpeg"
    command = [
        "ab",
        "-q",
        "-k",
        "-l",
        "-r",
        "-s",
        "60",
        "-t",
        str(round(seconds)),
        "-n",
        "1000000",
        "-c",
        str(concurrency),
    ]
    command += ["-p", str(body), "-T", kind, "-e", str(table), f"http://127.0.0.1:{PORT}{server.path}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = {row[0]: float(row[1]) for row in csv.reader(table.open()) if row[0].isdigit()}

    def number(label: str) -> float:
        match = re.search(rf"^{label}:\s+([\d.]+)", text, re.M)
        return float(match[1]) if match else 0.0

    return {
        "server": server.name,
        "concurrency": concurrency,
        "per_second": number("Requests per second"),
        "requests": number("Complete requests"),
        "failed": number("Failed requests") + number("Non-2xx responses"),
        "p50_ms": times.get("50", 0.0),
        "p99_ms": times.get("99", 0.0),
    }


def main() -> None:
    """Run everything, print a table, write the results and the plots."""
    parser = argparse.ArgumentParser(description="Compare servers with ab.")
    parser.add_argument("artifact")
    parser.add_argument("--image", required=True, type=Path)
    parser.add_argument("--onnx")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--concurrency", default="1,8,16,64")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    form = options.output / "form.bin"
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.jpg"\r\n\r\n'
    form.write_bytes(head.encode() + options.image.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode())
    rows: list[dict[str, Any]] = []
    print(
        f"{'server':26} {'at once':>7} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'failed':>7} {'MiB':>7} {'loaded':>7}"
    )
    alone = [in_process(options.artifact, options.image)]
    for server in servers_of(options.artifact, options.onnx):
        log = (options.output / "server.log").open("wb")
        environment = os.environ | server.environment
        process = subprocess.Popen(server.command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            wait_ready(server, process)
            idle = memory_mib(process)
            body = form if server.form else options.image
            run_ab(server, body, 4, 2, options.output)  # warm
            for concurrency in map(int, options.concurrency.split(",")):
                row = run_ab(server, body, concurrency, options.seconds, options.output)
                row |= {"idle_mib": round(idle, 1), "loaded_mib": round(memory_mib(process), 1)}
                rows.append(row)
                print(
                    f"{server.name:26} {concurrency:7} {row['per_second']:8.1f} {row['p50_ms']:8.1f} "
                    f"{row['p99_ms']:8.1f} "
                    f"{row['failed']:7.0f} {row['idle_mib']:7.1f} {row['loaded_mib']:7.1f}",
                    flush=True,
                )
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # a server of several processes leaves some behind otherwise
            process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            log.close()
    alone.append(in_process(options.artifact, options.image))
    result = {"seconds": options.seconds, "in_process": alone, "servers": rows}
    (options.output / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(rows, options.output)


def plot(rows: list[dict[str, Any]], folder: Path) -> None:
    """Write requests/s and p99 against concurrency as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    for key, label, name in (("per_second", "requests/s", "throughput"), ("p99_ms", "p99 in ms", "latency")):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot(xlabel="requests at once", ylabel=label)
        for server in dict.fromkeys(row["server"] for row in rows):
            points = [(row["concurrency"], row[key]) for row in rows if row["server"] == server]
            axes.plot(*zip(*points, strict=True), marker="o", label=server)
        axes.set_xscale("log", base=2)
        ticks = sorted({row["concurrency"] for row in rows})
        axes.set_xticks(ticks, list(map(str, ticks)))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"{name}.png", dpi=120)


if __name__ == "__main__":
    main()
