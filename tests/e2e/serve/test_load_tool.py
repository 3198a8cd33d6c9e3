"""`ovenbird-rt load` against a real server, as a session at a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ovenbird_runtime.load_test.figures import figures_of, percentile
from ovenbird_runtime.load_test.plan import LoadPlan
from support.serving import Serving


def load(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "ovenbird_runtime", "load", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=100)


def test_samples_are_counted(server: Serving, tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)
    url = f"http://127.0.0.1:{server.port}"
    result = load(url, "-w", 2, "-t", 1, "-t", 2, "-s", 5, "-b", 3, "--image", tmp_path / "a.jpg", "--json")
    assert result.returncode == 0, result.stderr
    one, two = json.loads(result.stdout)["runs"]
    assert (one["requests"], two["requests"]) == (10, 20)
    assert one["statuses"] == {"200": 10}
    assert one["images_per_second"] == pytest.approx(3 * one["per_second"], abs=0.05)


def test_a_rate_is_kept_and_plots_are_drawn(server: Serving, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    url = f"http://127.0.0.1:{server.port}"
    result = load(url, "-t", 4, "-i", 1, "--rate", 20, "--rate", 40, "--plots", tmp_path)
    assert result.returncode == 0, result.stderr
    assert "good/s" in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"response-times.png", "latency.png"}


def test_no_server_is_one_line() -> None:
    result = load("http://127.0.0.1:9", "-s", 1)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


def test_figures_are_of_the_answers_given() -> None:
    samples = [(0.0, 200, i / 1000) for i in range(1, 101)] + [(0.0, 429, 0.001)]
    figures = figures_of(LoadPlan(1, 4), samples, 2.0, 1)
    assert (figures.p50_ms, figures.p99_ms, figures.max_ms) == (50, 99, 100)
    assert figures.statuses == {"200": 100, "429": 1}
    assert figures.per_second == 50
    assert percentile([], 0.5) == 0
