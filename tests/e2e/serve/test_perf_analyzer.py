"""Triton's own load generator against our server, over HTTP and gRPC (ci/steps/perf_analyzer.sh puts it here)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.serving import Serving

pytest.importorskip("h2")

PROGRAM = os.environ.get("PERF_ANALYZER") or shutil.which(
    "perf_analyzer", path=f"{Path(__file__).parents[3] / '.cache/perf_analyzer'}:{os.environ.get('PATH', '')}"
)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no perf_analyzer here: ci/steps/perf_analyzer.sh")


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--grpc-port", 0, "--nan", "allow", "--no-access-log") as running:
        yield running


def analyze(server: Serving, protocol: str, *options: str) -> str:
    """Run it as its users do, for a few requests; return what it prints."""
    port = server.port if protocol == "http" else server.wait_for("listening_grpc")["port"]
    command = [
        str(PROGRAM), "-m", "tiny", "-i", protocol, "-u", f"127.0.0.1:{port}", "--measurement-mode", "count_windows",
        "--measurement-request-count", "20", "--stability-percentage", "999", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("data", ["random", "zero"])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_perf_analyzer_measures(server: Serving, protocol: str, batch: int, data: str) -> None:
    """Random bytes taken as float32 hold NaN: the server was told to allow them."""
    printed = analyze(server, protocol, "--input-data", data, "-b", str(batch), "--concurrency-range", "1:4:3")
    requests = [int(count) for count in re.findall(r"Successful request count: (\d+)", printed)]
    images = [int(count) for count in re.findall(r"Inference count: (\d+)", printed)]
    assert len(requests) == len(images) == 2
    assert all(count >= 20 for count in requests)
    assert all(abs(count - batch * asked) <= batch * 8 for count, asked in zip(images, requests, strict=True))
    assert len(re.findall(r"compute infer \d+ usec", printed)) == 2
    assert "Failed Request Count" not in printed


def test_perf_analyzer_measures_asynchronously(server: Serving) -> None:
    for protocol in ("http", "grpc"):
        printed = analyze(server, protocol, "--async", "--input-data", "zero", "--concurrency-range", "2")
        assert "Successful request count" in printed
