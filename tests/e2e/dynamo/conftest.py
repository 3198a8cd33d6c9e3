"""What tests of `torch.compile(backend="ovenbird")` share: one cache for all, and a start from nothing for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest
import torch

from ovenbird.api import child
from ovenbird.dynamo.reporting import forget
from ovenbird.process.children import environment
from support.warm import Child, Warm


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all entries: graphs that several tests run are compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def forked(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the compiler's process for each graph from one that has imported torch and TVM, half of a small graph's
    time; starts from nothing are what tests of the cache and of `ovenbird.compile` have.
    """

    def start(arguments: Sequence[str], output: IO[bytes], writing: int) -> Child:
        given = {1: output.fileno(), 2: output.fileno(), writing: writing}
        return warm.start(child.WORKER, arguments, Path.cwd(), environment(), given)

    monkeypatch.setattr(child, "start", start)


@pytest.fixture(autouse=True)
def fresh(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OVENBIRD_CACHE", str(cache))
    torch.compiler.reset()
    forget()
    yield
    torch.compiler.reset()
