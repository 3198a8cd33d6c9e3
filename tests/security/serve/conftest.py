"""A server with short deadlines and small limits, so that tests of them are quick."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.serving import Serving
from support.tiny_artifact import tiny_artifact

LIMITS = (
    "--header-seconds", "1", "--body-seconds", "1.5", "--keep-alive-seconds", "0.7", "--max-body-bytes", "200000",
    "--max-connections", "300", "--max-parts", "8",
)  # fmt: skip


@pytest.fixture(scope="session")
def strict() -> Iterator[Serving]:
    with Serving.start(tiny_artifact(), *LIMITS) as server:
        yield server
