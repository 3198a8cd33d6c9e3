"""`ovenbird.compile`: a program compiles and then loads what it compiled, in one process, and nothing is printed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ovenbird
from ovenbird.errors import BuildFailed, NetworkUntraceable, UnknownNetwork, UnknownTarget, UsageError
from support.examples import ROOT

from .conftest import HERE, Command, environment

USER = """
import contextlib, io, json, sys

import torch
from torch import nn

import ovenbird


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, image, *, gain):
        features = self.norm(self.conv(image)).relu().mean((2, 3))
        return {"logits": self.head(features) * gain, "features": features}


torch.manual_seed(0)
net = Net()
net.norm.eval()
inputs = {"image": torch.randn(2, 3, 20, 24), "gain": torch.rand(2, 1)}
steps, printed = [], io.StringIO()
with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
    report = ovenbird.compile(net, inputs, "net", batch_sizes=(2,), progress=lambda *step: steps.append(step))
modes = [net.training, net.conv.training, net.norm.training]

import ovenbird_runtime

net.eval()
images = {"image": torch.randn(5, 3, 20, 24), "gain": torch.rand(5, 1)}
with ovenbird_runtime.load(report.output) as model, torch.no_grad():
    found = model.run({name: tensor.numpy() for name, tensor in images.items()})
    off = {name: float((torch.from_numpy(found[name]) - right).abs().max()) for name, right in net(**images).items()}
print(json.dumps({
    "off": off, "errors": report.errors, "modes": modes, "printed": printed.getvalue(), "steps": steps,
    "inputs": [spec.name for spec in model.inputs], "name": model.name, "tvm": "tvm" in sys.modules,
    "seconds": report.seconds, "verified": report.verified,
    "weights": [report.weights_bytes, sum(4 * one.numel() for one in net.state_dict().values() if one.ndim)],
}))
"""


def run_program(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a user's program from nothing, in a folder of its own."""
    (folder / "program.py").write_text(text)
    command = [sys.executable, "program.py"]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=600, check=False
    )


def test_a_program_compiles_its_own_module_and_loads_it(tmp_path: Path) -> None:
    done = run_program(USER, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    told = json.loads(done.stdout)  # and nothing else was printed, by any process
    assert told["printed"] == ""
    assert told["modes"] == [True, True, False], "the module is in the modes that it was in"
    assert max(told["off"].values()) < 1e-5
    assert told["errors"].keys() == {"logits", "features"}
    assert 0 < max(told["errors"].values()) < 1e-4
    assert (told["inputs"], told["name"], told["verified"]) == (["image", "gain"], "Net", ["host"])
    assert not told["tvm"], "the runtime could not load it in this process"
    texts = [text for text, _, _ in told["steps"]]
    assert "tracing and importing" in texts
    assert texts[-1].startswith("putting")
    assert told["seconds"] > 0
    imported, held = told["weights"]
    assert held * 0.9 <= imported <= held


@pytest.mark.slow
def test_the_command_and_the_function_write_the_same_bytes(
    ovenbird: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ovenbird as compiler

    done = ovenbird("compile", "networks:detector", "--batch-sizes", "1", "-o", tmp_path / "command")
    assert done.code == 0, done.err
    monkeypatch.chdir(HERE)
    report = compiler.compile("networks:detector", output=tmp_path / "function", batch_sizes=(1,))
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in ("command", "function")]
    assert sums[0] == sums[1]
    assert report.output == tmp_path / "function"


def test_errors_are_those_of_the_compiler(tmp_path: Path) -> None:
    import torch

    with pytest.raises(UnknownNetwork, match="did you mean resnet50"):
        ovenbird.compile("resnet51", output=tmp_path / "x")
    with pytest.raises(UnknownTarget):
        ovenbird.compile("resnet50", output=tmp_path / "x", target="x86-64-v9")
    with pytest.raises(UsageError, match="example inputs with a module"):
        ovenbird.compile(torch.nn.Linear(2, 2), output=tmp_path / "x")
    with pytest.raises(NetworkUntraceable, match="does not run on its example inputs"):
        ovenbird.compile(torch.nn.Linear(2, 2), torch.ones(1, 3), tmp_path / "x")
    with pytest.raises(UsageError, match=r"batch_sizes is \(0, 8\)"):
        ovenbird.compile("resnet50", output=tmp_path / "x", batch_sizes=(0, 8))
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_callback_that_raises_ends_the_work_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)

    def stop(text: str, done: int, total: int) -> None:
        if text == "tracing and importing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ovenbird.compile("networks:detector", output=tmp_path / "x", progress=stop)
    assert not any(tmp_path.iterdir())


def test_a_compiler_that_dies_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)

    def kill(text: str, done: int, total: int) -> None:
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            if "ovenbird.api.worker" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), signal.SIGKILL)

    with pytest.raises(BuildFailed, match="ended by SIGKILL"):
        ovenbird.compile("networks:detector", output=tmp_path / "x", progress=kill)


@pytest.mark.slow
def test_an_exported_program_compiles(tmp_path: Path) -> None:
    import torch

    program = torch.export.export(torch.nn.Linear(4, 2).eval(), (torch.randn(1, 4),))
    report = ovenbird.compile(program, output=tmp_path / "net", name="line", batch_sizes=(1,))
    assert report.manifest.model.name == "line"
    assert [spec.name for spec in report.manifest.inputs] == ["input"]


@pytest.mark.slow
def test_the_page_s_programs_run(tmp_path: Path) -> None:
    page = (ROOT / "docs/reference/compiler-api.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    done = run_program(program, tmp_path)
    assert done.returncode == 0, done.stderr
