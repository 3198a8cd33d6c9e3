"""The command that compiles torchvision's and timm's networks: its lists, its results, that it goes on."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[4]
COMMAND = ROOT / "ci/networks"


def test_no_network_is_named_twice() -> None:
    lists = tomllib.loads((COMMAND / "networks.toml").read_text(encoding="utf-8"))
    names = [name for some in lists["timm"].values() for name in some]
    assert len(names) == len(set(names))
    assert len(lists["timm"]) >= 40
    assert all(reason.strip() for reason in lists["left_out"].values())


@pytest.mark.slow
def test_a_network_is_compiled_and_its_result_kept(tmp_path: Path) -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("no timm (make setup)")
    command = [sys.executable, str(COMMAND), "timm:test_vit", "--results", str(tmp_path), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("1/1 right timm:test_vit: error ")
    (file,) = tmp_path.glob("*.json")
    found = json.loads(file.read_text())
    assert found["error"] < 2e-3
    assert found["kernels"] > 10
    assert found["ours_s"] > 0 < found["theirs_s"]
    again = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert again.stdout == done.stdout
