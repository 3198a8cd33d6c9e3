"""Ray Serve, BentoML, LitServe and MLflow answer a photograph as the runtime does, and refuse what is no image."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .conftest import EXAMPLES, PHOTO, ask, classes, form, free_port, running

pytestmark = pytest.mark.slow


def test_ray_serve(engines: Path, artifact: Path, expected: list[Any]) -> None:
    """Two replicas share the requests; Ray listens before they are ready."""
    port = free_port()
    command = [engines / "python", EXAMPLES / "ray_serve.py"]
    with running(command, port, ARTIFACT=artifact, PORT=port, CPUS=2, RAY_USAGE_STATS_ENABLED=0):
        end = time.monotonic() + 120
        while ask(port, "/", PHOTO.read_bytes(), "image/png")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.2)
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda _: ask(port, "/", PHOTO.read_bytes(), "image/png"), range(40)))
        assert {status for status, _ in answers} == {200}
        seen = [json.loads(body) for _, body in answers]
        assert all(classes(one) == expected for one in seen)
        assert len({one["replica"] for one in seen}) == 2
        status, body = ask(port, "/", b"no image", "image/png")
        assert status == 400
        assert "error" in json.loads(body)


def test_bentoml(engines: Path, artifact: Path, expected: list[Any], tmp_path: Path) -> None:
    port = free_port()
    command = [engines / "bentoml", "serve", f"{EXAMPLES}/bentoml_service.py:Classifier", "--port", port]
    with running(command, port, ARTIFACT=artifact, BENTOML_HOME=tmp_path, BENTOML_DO_NOT_TRACK=True):
        status, body = ask(port, "/classify", *form(PHOTO.read_bytes()))
        assert (status, classes(json.loads(body))) == (200, expected)
        assert ask(port, "/classify", *form(b"no image"))[0] == 400


def test_litserve(engines: Path, artifact: Path, expected: list[Any]) -> None:
    """A file that is no image fails alone, whatever else is in its batch."""
    port = free_port()
    with running([engines / "python", EXAMPLES / "litserve_server.py"], port, ARTIFACT=artifact, PORT=port):
        files = [b"no image" if place % 4 == 3 else PHOTO.read_bytes() for place in range(16)]
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda file: ask(port, "/predict", *form(file)), files))
    assert [status for status, _ in answers] == [400 if file == b"no image" else 200 for file in files]
    assert all(classes(json.loads(body)) == expected for status, body in answers if status == 200)


def test_mlflow(engines: Path, artifact: Path, expected: list[Any], tmp_path: Path) -> None:
    """The model is logged, loaded by its address, and served. (mlflow-skinny has no database.)"""
    port = free_port()
    settings = {"MLFLOW_TRACKING_URI": f"file://{tmp_path}/mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"}
    environment = {"PATH": f"{engines}:/usr/bin:/bin", "HOME": str(tmp_path)}
    environment |= settings | {"ARTIFACT": str(artifact)}
    logged = subprocess.run(
        [engines / "python", EXAMPLES / "mlflow_model.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert logged.returncode == 0, logged.stderr
    address = logged.stdout.split()[-1]
    assert address.startswith("models:/")
    rows = {"columns": ["image"], "data": [[base64.b64encode(PHOTO.read_bytes()).decode()]] * 2}
    command = [engines / "mlflow", "models", "serve", "-m", address, "--env-manager", "local", "--port", port]
    with running(command, port, **settings, PATH=environment["PATH"]):
        body = json.dumps({"dataframe_split": rows, "params": {"top": 2}}).encode()
        status, answer = ask(port, "/invocations", body, "application/json")
        assert status == 200, answer
        assert [classes(one) for one in json.loads(answer)["predictions"]] == [expected] * 2
        rows["data"] = [["not base64!"]]
        assert ask(port, "/invocations", json.dumps({"dataframe_split": rows}).encode(), "application/json")[0] == 400
