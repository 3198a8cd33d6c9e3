"""The reference pages written from the code are those of this code."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_pages_are_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, "ci/steps/reference.py", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'compile'}:{ROOT / 'runtime'}", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
