"""The cache of compiled graphs: one process makes an entry, later ones start warm, and a damaged one is made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ..conftest import environment

PROGRAM = """
import json, sys, time

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4)).eval()
image = torch.randn(1, 3, 8, 8)
call = torch.compile(net, backend="ovenbird")
with torch.no_grad():
    off = float((call(image) - net(image)).abs().max())
from ovenbird.dynamo.compiled import LIVE
compiled = sum(graph.loaded is not None for graph in LIVE)
print(json.dumps({"off": off, "compiled": compiled, "made": "ovenbird.dynamo.program" in sys.modules}))
"""


def start(cache: Path) -> subprocess.Popen[str]:
    variables = {**environment(), "OVENBIRD_CACHE": str(cache)}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=variables, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.slow
def test_processes_share_an_entry(tmp_path: Path) -> None:
    racing = [start(tmp_path), start(tmp_path)]
    found = [finish(process) for process in racing]
    assert all(one["off"] < 1e-5 and one["compiled"] == 1 for one in found)
    assert sorted(one["made"] for one in found) == [False, True], "one of the two has compiled"
    (entry,) = (path for path in (tmp_path / "graphs").iterdir() if path.is_dir())

    (weights,) = (entry / "weights").iterdir()
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(data)
    again = finish(start(tmp_path))
    assert again["made"], "a damaged entry is made again"
    assert again["off"] < 1e-5
    assert again["compiled"] == 1
    assert weights.read_bytes() != data

    last = finish(start(tmp_path))
    assert (last["made"], last["compiled"]) == (False, 1)


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    variables = {**environment(), "OVENBIRD_CACHE": str(tmp_path / "file")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["compiled"] == 0
    assert "OutputError: cannot write" in done.stderr
    assert "$OVENBIRD_CACHE names another folder" in done.stderr


def test_torch_finds_the_backend_by_its_name() -> None:
    assert "ovenbird" in torch._dynamo.list_backends()
    assert os.environ["OVENBIRD_CACHE"]
