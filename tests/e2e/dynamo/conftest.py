"""What tests of `torch.compile(backend="ovenbird")` share: one cache for all, and a start from nothing for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ovenbird.dynamo.reporting import forget


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all entries: graphs that several tests run are compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def fresh(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OVENBIRD_CACHE", str(cache))
    torch.compiler.reset()
    forget()
    yield
    torch.compiler.reset()
