"""Fixtures of a tiny network, compiled for real once a session: import them in a conftest.py.

from support.tiny_fixtures import model, spoilt, tiny

__all__ = ["model", "spoilt", "tiny"]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import ovenbird_runtime
from ovenbird_runtime.model import Model
from support.tiny_artifact import copy_tiny, tiny_artifact


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The artifact; nobody changes it."""
    return tiny_artifact()


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A copy of it that the test may spoil."""
    return copy_tiny(tmp_path)


@pytest.fixture(scope="session")
def model(tiny: Path) -> Iterator[Model]:
    with ovenbird_runtime.load(tiny, threads=2, workers=2) as loaded:
        yield loaded
