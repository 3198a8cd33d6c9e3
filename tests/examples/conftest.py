"""Examples run as their users run them: with the real engine, in an environment of its own (ci/steps/examples.sh)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ovenbird_runtime
from support.tiny_artifact import tiny_artifact

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PHOTO = EXAMPLES / "chelsea.png"
START_SECONDS = 120
"""A hang's bound: Ray takes 10 s on a quiet machine."""


@pytest.fixture(scope="session")
def engines() -> Path:
    """The folder of the environment's programs."""
    folder = ROOT / ".venv-examples/bin"
    if not (folder.parent / ".ovenbird-examples").is_file():  # the last that an installation writes
        pytest.skip("the engines are not installed: ci/steps/examples.sh")
    return folder


@pytest.fixture(scope="session")
def artifact() -> Path:
    """The tiny artifact, which nobody may change."""
    return tiny_artifact()


@pytest.fixture(scope="session")
def expected(artifact: Path) -> list[tuple[int, float]]:
    """What the runtime says of the photograph: the classes with their confidences."""
    with ovenbird_runtime.load(artifact) as model:
        return [(one.index, one.confidence) for one in model.predict(PHOTO)[0].top]


def classes(answer: Any) -> list[tuple[int, float]]:
    """Return the classes of an answer in JSON; the confidences as they are near those of another batch."""
    (top,) = answer["classes"].values()
    return [(one["index"], pytest.approx(one["confidence"], rel=1e-4)) for one in top]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ask(port: int, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
    """Post a body; return the status and the answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def form(file: bytes) -> tuple[bytes, str]:
    """Return a form with the file `image`, and its content type."""
    head = b'--B\r\nContent-Disposition: form-data; name="image"; filename="p.png"\r\nContent-Type: image/png\r\n\r\n'
    return head + file + b"\r\n--B--\r\n", "multipart/form-data; boundary=B"


@contextlib.contextmanager
def running(command: list[object], port: int, **settings: object) -> Iterator[None]:
    """Run an engine until the block ends, from where it listens on `port`; then end it with all its processes."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {key: str(value) for key, value in settings.items()}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(one) for one in command], env=environment, start_new_session=True, stdout=said, stderr=said
        )
        try:
            end = time.monotonic() + START_SECONDS
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > end:
                    said.seek(0)
                    pytest.fail(f"{command[0]} does not listen: {said.read().decode(errors='replace')[-4000:]}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
