"""`ovenbird bench` as people type it: what it prints, what it writes, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = os.pathsep.join([str(ROOT / "compile"), str(ROOT / "runtime")])


def bench(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ovenbird", "bench", *arguments],
        cwd=home,
        env={**os.environ, "PYTHONPATH": SITE},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_whole_benchmark_of_a_tiny_network(home: Path, prepared: Path) -> None:
    options = "--batch-sizes 1,2 --threads 1 --rounds 2 --repeat 3 --peers ort --profile"
    # What the fixture prepared is current, so nothing is compiled again.
    done = bench(home, "tiny_net:network", *options.split(), "--work", str(prepared.parent), "-o", "out", "-q")
    assert done.returncode == 0, done.stderr
    for part in (
        "tiny_net-network, batch 2, 1 thread",
        "Measured limits with 1 thread:",
        "output error",
        "share of limit",
    ):
        assert part in done.stdout
    assert (home / "out" / "bench.md").read_text(encoding="utf-8") == done.stdout
    document = json.loads((home / "out" / "bench.json").read_text(encoding="utf-8"))
    assert [case["case"]["batch"] for case in document["cases"]] == [1, 2]
    assert document["limits"]["1"]["gflops"] > 0
    assert set(document["footprints"]["tiny_net-network"]) >= {"ovenbird"}
    assert document["command"].startswith("ovenbird bench tiny_net:network --batch-sizes 1,2")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (pip install '.[peers]')")
    assert (home / "out" / "bench.png").stat().st_size > 1000


def test_a_benchmark_that_is_ended_keeps_what_it_measured(home: Path, prepared: Path) -> None:
    options = "--batch-sizes 1,2 --threads 1 --rounds 1 --repeat 3 --peers ort --no-footprint"
    command = [sys.executable, "-m", "ovenbird", "bench", "tiny_net:network", *options.split()]
    command += ["--work", str(prepared.parent), "-o", "kept", "-q"]
    process = subprocess.Popen(command, cwd=home, env={**os.environ, "PYTHONPATH": SITE})
    try:
        deadline = time.monotonic() + 300
        while not (home / "kept/bench.json").is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
    cases = json.loads((home / "kept/bench.json").read_text(encoding="utf-8"))["cases"]
    assert [case["case"]["batch"] for case in cases] == [1], "batch 2 was not waited for, batch 1 is there"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_benchmark(home: Path, prepared: Path, number: signal.Signals) -> None:
    code = (
        "from ovenbird.benchmarking.jobs import Job\n"
        "from ovenbird.benchmarking.worker_processes import started_worker\n"
        "from ovenbird.process.interruption import Interruption\n"
        "from ovenbird.process.progress import Progress\n"
        f"job = Job('ovenbird', {str(prepared)!r}, 1, 1, hold=True)\n"
        "with Interruption(Progress()), started_worker(job) as (process, folder, said):\n"
        "    print(process.pid, flush=True)\n"
        "    process.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": SITE}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        worker = Path("/proc") / parent.stdout.readline().strip()
        time.sleep(1.0)  # long enough for the worker to have asked to end with its parent
        assert worker.exists()
        parent.send_signal(number)
        parent.wait(timeout=30)
    deadline = time.monotonic() + 10
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(worker)


def running(process: Path) -> bool:
    """Whether a process lives; one that has ended and that nobody has asked for does not."""
    try:
        return (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no_such_network"], 2, "UnknownNetwork: unknown model 'no_such_network'"),
        (["resnet50", "--peers", "caffe"], 2, "UsageError: --peers caffe: no engine 'caffe'"),
        (["resnet50", "--threads", "0"], 2, "UsageError: --threads '0': expected numbers of 1 to 1024"),
        (["resnet50", "--threads", "1000"], 2, "UsageError: --threads 1000: this process may use"),
        (["resnet50", "--batch-sizes", "1;8"], 2, "UsageError: --batch-sizes"),
        (["resnet50", "--image-sizes", "big"], 2, "UsageError: --image-sizes 'big'"),
        ([], 2, "Missing argument 'MODEL...'"),
    ],
)
def test_wrong_use_is_refused(home: Path, arguments: list[str], code: int, message: str) -> None:
    done = bench(home, *arguments, "--rounds", "1")
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ablation_of_a_tiny_network(home: Path, prepared: Path) -> None:
    options = ["--threads", "1", "--rounds", "2", "--repeat", "3", "--work", str(prepared.parent), "-q"]
    command = ["tiny_net:network", "--ablation", *options, "-o", "left-out"]
    done = bench(home, *command, "--switches", "fusion,winograd,tuning")
    assert done.returncode == 0, done.stderr
    document = json.loads((home / "left-out/ablation.json").read_text(encoding="utf-8"))
    fusion, winograd, tuning = document["rows"]
    assert (fusion["switch"], fusion["note"]) == ("fusion", "")
    assert fusion["off"]["bytes"] != fusion["on"]["bytes"]
    assert fusion["ratio"]["low"] > 0
    assert winograd["note"].startswith("nothing to leave out")
    assert "tuning records" in tuning["note"]
    again = bench(home, *command, "--switches", "fusion,tuning")
    assert again.returncode == 0, again.stderr
    assert json.loads((home / "left-out/ablation.json").read_text(encoding="utf-8"))["rows"] == document["rows"]


def test_ablation_compares_with_nobody(home: Path) -> None:
    done = bench(home, "resnet50", "--ablation", "--peers", "ort", "-q")
    assert (done.returncode, done.stderr.strip()) == (2, "error: UsageError: --ablation takes no --peers")
