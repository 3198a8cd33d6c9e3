"""Tests of the server under load; their figures go to build/serve-report.jsonl (support/reporting.py).

make test                                     what takes seconds
make test TESTS="tests/load -m load"          what is marked load: slow clients, overload, the long run; three minutes
OVENBIRD_LOAD_ARTIFACT=artifacts/resnet50     what to serve where the network's cost matters [the tiny network]
OVENBIRD_LOAD_SECONDS=60 OVENBIRD_SOAK_SECONDS=1800     the lengths that a release is judged by [10 and 30]

ci/load/reliability.py runs these and every other test of a bar, and makes the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pictures import encoded
from support.serving import Serving
from support.tiny_artifact import tiny_artifact


@pytest.fixture(scope="session")
def artifact() -> Path:
    named = os.environ.get("OVENBIRD_LOAD_ARTIFACT")
    return Path(named) if named else tiny_artifact()


@pytest.fixture
def server() -> Iterator[Serving]:
    with Serving.start(tiny_artifact(), "--no-access-log") as running:
        yield running


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return encoded()
