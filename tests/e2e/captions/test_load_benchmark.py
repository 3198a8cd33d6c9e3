"""The captions' load test, in small: a tiny captioner asked by Apache's `ab`, stopped and gone on with, on a page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from support.captioner_artifact import captioner_artifact

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(shutil.which("ab") is None, reason="no ab (apache2-utils)")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture that takes tens of milliseconds: to `ab`, what answers within one has not answered."""
    file = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((3000, 2000)).convert("RGB").save(file, compress_level=1)
    return file


def load(folder: Path, photo: Path, *options: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    command = [sys.executable, ROOT / "ci/captions/load.py", captioner_artifact(), "-o", folder, "--image", photo]
    command += ["--requests", "8", "--concurrency", "1,4", "--sweep", "1,4", "--tokens", "5"]
    command += options
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 75), done.stderr
    return done.returncode, done.stdout


def test_captions_are_asked_for_and_written_down(tmp_path: Path, photo: Path) -> None:
    assert load(tmp_path, photo, "--seconds", "0")[0] == 75  # no cell begins
    code, printed = load(tmp_path, photo, "--page", str(tmp_path / "captions.md"))
    assert (code, len(printed.splitlines())) == (0, 6)
    cells = json.loads((tmp_path / "load.json").read_text())["cells"]
    asked = [cell for cell in cells.values() if not cell["batch"]]
    assert sorted((cell["server"], cell["concurrency"]) for cell in asked) == [
        (server, count) for server in ("ovenbird", "ovenbird, one at a time") for count in (1, 4)
    ]
    for cell in cells.values():
        assert (cell["failed"], len(cell["times_ms"])) == (0, cell["requests"])
        assert cell["times_ms"] == sorted(cell["times_ms"])
        assert cell["per_second"] > 0
    page = (tmp_path / "captions.md").read_text()
    for name in ("sorted", "throughput", "batch"):
        assert f"captions-{name}.png" in page
        assert (tmp_path / f"captions-{name}.png").stat().st_size > 5000
    assert load(tmp_path, photo) == (0, "")  # all of it is there
