"""Long tests of the server, and the report of their figures.

make test TESTS="tests/load -m load"          figures go to build/serve-report.jsonl and to the terminal
OVENBIRD_LOAD_ARTIFACT=artifacts/resnet50     what to serve where the network's cost matters [the tiny network]
OVENBIRD_LOAD_SECONDS=60 OVENBIRD_SOAK_SECONDS=1800     the lengths that a release is judged by [10 and 30]
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.pictures import encoded
from support.serving import Serving
from support.tiny_artifact import tiny_artifact

REPORT = Path(__file__).resolve().parents[2] / "build" / "serve-report.jsonl"


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Write a test's figures down."""

    def write(**figures: Any) -> None:
        REPORT.parent.mkdir(exist_ok=True)
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "test": request.node.name} | figures)
        with REPORT.open("a") as file:
            file.write(line + "\n")
        print(line)

    return write


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
