"""Threads follow affinity, container quota and physical cores; features come from the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ovenbird_runtime.machine.cpu import available_threads, cpu_quota, this_machine, version_pair


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


QUOTAS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
    ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3.0),
    (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "300000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "200000 100000",
        },
        2.0,
    ),
    ({"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
    (
        {
            "proc/self/cgroup": "4:cpuset:/\n3:cpu,cpuacct:/docker/1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        2.5,
    ),
    (
        {
            "proc/self/cgroup": "3:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        None,
    ),
    ({"proc/self/cgroup": "garbage\n", "sys/fs/cgroup/cpu.max": "x y z"}, None),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0"}, None),
]


@pytest.mark.parametrize(("files", "expected"), QUOTAS)
def test_the_quota_of_a_container_is_read(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    write(tmp_path, files)
    assert cpu_quota(tmp_path) == expected


def test_threads_follow_the_quota(tmp_path: Path) -> None:
    cpus = len(os.sched_getaffinity(0))
    assert available_threads(tmp_path) == cpus
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000"})
    assert available_threads(tmp_path) == 1


def test_siblings_count_once(tmp_path: Path) -> None:
    for cpu in os.sched_getaffinity(0):
        write(tmp_path, {f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": "0-255\n"})
    assert available_threads(tmp_path) == 1


def test_threads_follow_the_affinity() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_threads() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_this_machine_is_described() -> None:
    machine = this_machine()
    assert machine.arch in ("x86_64", "aarch64")
    assert machine.features & {"sse2", "asimd"}
    assert machine.glibc >= (2, 17)


@pytest.mark.parametrize(
    ("text", "pair"), [("2.28", (2, 28)), ("2.36.1", (2, 36)), ("", (0, 0)), ("2", (0, 0)), ("2.x", (0, 0))]
)
def test_a_version_is_read_as_a_pair(text: str, pair: tuple[int, int]) -> None:
    assert version_pair(text) == pair
