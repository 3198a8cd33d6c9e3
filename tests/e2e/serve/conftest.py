"""One server of the tiny network for all tests that do not change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pictures import encoded
from support.serving import Serving
from support.tiny_artifact import tiny_artifact


@pytest.fixture(scope="session")
def tiny() -> Path:
    return tiny_artifact()


@pytest.fixture(scope="session")
def server(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--nv-metrics") as running:
        yield running


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return encoded()
