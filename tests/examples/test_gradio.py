"""The page answers by Gradio's own interface for programs, and shows an error for what is no image."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import EXAMPLES, PHOTO, free_port, running

pytestmark = pytest.mark.slow
CLIENT = """
import json, sys
import gradio_client
page = gradio_client.Client(sys.argv[1], verbose=False)
for file in sys.argv[2:]:
    try:
        print(json.dumps(page.predict(gradio_client.handle_file(file), api_name="/classify")))
    except gradio_client.exceptions.AppError as error:
        print(json.dumps({"error": str(error)}))
"""


def test_gradio(engines: Path, artifact: Path, expected: list[Any], tmp_path: Path) -> None:
    port, broken = free_port(), tmp_path / "broken.png"
    broken.write_bytes(PHOTO.read_bytes()[:2000])
    command = [engines / "python", EXAMPLES / "gradio_page.py"]
    with running(command, port, ARTIFACT=artifact, PORT=port, GRADIO_ANALYTICS_ENABLED=False):
        asked = subprocess.run(
            [engines / "python", "-c", CLIENT, f"http://127.0.0.1:{port}", PHOTO, broken],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    seen, refused = (json.loads(line) for line in asked.stdout.splitlines())
    shown = [one["confidence"] for one in seen["confidences"]]
    assert shown[:2] == pytest.approx([confidence for _, confidence in expected], rel=1e-4)
    assert len(shown) == 5
    assert "broken" not in seen
    assert refused["error"]
