"""Size on disk is that of a distribution and all it needs."""

import importlib.metadata
from pathlib import Path

import pytest

from ovenbird.benchmarking.footprint import closure, distribution_bytes, installed_bytes
from ovenbird.benchmarking.worker import memory


def test_closure_follows_requirements() -> None:
    assert "packaging" in closure(["pytest"])


def test_numpy_belongs_to_nobody() -> None:
    assert "numpy" not in closure(["torch"])


def test_size_is_that_of_the_files() -> None:
    files = [Path(str(file.locate())) for file in importlib.metadata.distribution("click").files or []]
    assert 0 < distribution_bytes("click") <= sum(path.stat().st_size for path in files)
    assert installed_bytes(["click"]) >= distribution_bytes("click")


@pytest.mark.parametrize("name", ["no-such-distribution"])
def test_what_is_not_installed_takes_nothing(name: str) -> None:
    assert installed_bytes([name]) == 0


def test_memory_of_this_process() -> None:
    rss, pss = memory()
    assert 0 < pss <= rss
