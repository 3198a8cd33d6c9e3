"""The toy detector, compiled for real once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ovenbird_runtime
from ovenbird_runtime.model import Model
from support.tiny_artifact import detector_artifact


@pytest.fixture(scope="session")
def detector() -> Iterator[Model]:
    with ovenbird_runtime.load(detector_artifact(), threads=2) as loaded:
        yield loaded
