"""Neighbours keep processors busy for as long as a block runs, and end with it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ovenbird.benchmarking.engines import OWN_TVM, parse_peers
from ovenbird.benchmarking.machine.neighbours import busy_neighbours
from ovenbird.benchmarking.report.results import OWN_WAYS
from ovenbird.benchmarking.rounds import BenchCase


def children() -> dict[int, float]:
    """Return the processor seconds of each neighbour of this process."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            said = (process / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == os.getpid() and b"machine.neighbours" in said:
            found[int(process.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def test_neighbours_are_busy_until_the_block_is_left() -> None:
    with busy_neighbours(2, processors=1):
        before = children()
        assert len(before) == 2
        assert all(os.sched_getaffinity(process) == {min(os.sched_getaffinity(0))} for process in before)
        end = time.monotonic() + 60
        while sum(children().values()) < sum(before.values()) + 0.2 and time.monotonic() < end:
            time.sleep(0.05)
        assert sum(children().values()) >= sum(before.values()) + 0.2
    assert not children()


def test_no_neighbours_are_no_processes() -> None:
    with busy_neighbours(0, processors=1):
        assert not children()


def test_a_case_says_that_it_had_neighbours() -> None:
    assert BenchCase("resnet50", 1, 2, neighbours=1).label == "resnet50, batch 1, 2 threads, 1 busy neighbour"
    assert BenchCase("resnet50", 1, 1, 128, 2).label == "resnet50 at 128, batch 1, 1 thread, 2 busy neighbours"


def test_our_other_engine_is_compared_with_but_is_no_peer() -> None:
    assert parse_peers("ort,ovenbird-tvm") == ("ort", OWN_TVM)
    assert OWN_TVM in OWN_WAYS
