"""What was measured of a machine holds on that machine alone, and moves the estimates."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ovenbird.backends.cpu.algorithms import ConvolutionShape, choose_algorithm
from ovenbird.backends.cpu.machine import machine_of
from ovenbird.host.detection import cpu_name
from ovenbird.host.figures import MachineFigures, figures_file, keep_figures, read_figures
from ovenbird.targets import load_target

FIGURES = MachineFigures("a chip", cores=2, lanes=8, gflops=224.0, gbytes_per_s=21.0, measured="2026-11-29T12:00:00Z")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVENBIRD_CACHE", str(tmp_path))


def test_bytes_per_cycle_are_of_all_cores() -> None:
    # 224 GFLOP/s are 3.5 G cycles of 2 cores x 2 multiply-adds x 8 lanes x 2 operations
    assert FIGURES.memory_bytes_per_cycle == 6
    assert dataclasses.replace(FIGURES, gbytes_per_s=0.1).memory_bytes_per_cycle == 1


def test_figures_hold_for_the_processor_and_the_cores_they_were_measured_on() -> None:
    assert read_figures("a chip", 2) is None
    keep_figures(FIGURES)
    assert read_figures("a chip", 2) == FIGURES
    assert read_figures("another chip", 2) is None
    assert read_figures("a chip", 4) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", json.dumps({**dataclasses.asdict(FIGURES), "gflops": 0})])
def test_a_file_that_says_nothing_is_no_measurement(text: str) -> None:
    keep_figures(FIGURES).write_text(text, encoding="utf-8")
    assert read_figures("a chip", 2) is None


def test_the_host_knows_what_was_measured() -> None:
    assert load_target("host").memory_bytes_per_cycle == 0
    keep_figures(dataclasses.replace(FIGURES, cpu=cpu_name(), cores=load_target("host").cores))
    assert load_target("host").memory_bytes_per_cycle > 0
    assert load_target("x86-64-v3").memory_bytes_per_cycle == 0
    assert figures_file().is_file()


def test_slow_memory_keeps_weights_small() -> None:
    """Winograd's transformed weights are four times as many bytes (tiles of 4x4): they must arrive in time."""
    machine = dataclasses.replace(machine_of(load_target("x86-64-v3")), cores=2)
    last = ConvolutionShape(1, 512, 512, 7, 7)
    fast, slow = (dataclasses.replace(machine, memory_bytes_per_cycle=rate) for rate in (64, 2))
    assert choose_algorithm(last, fast).startswith("winograd")
    assert choose_algorithm(last, slow) == "direct"
