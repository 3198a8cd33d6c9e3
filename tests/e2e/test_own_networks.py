"""The page "Bring your own network", typed as it stands: its files, its commands, and its answers on a photograph."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/bring-your-own-network.md").read_text(encoding="utf-8")
RUNTIME = ROOT / ".venv-runtime/bin/ovenbird-rt"
PICTURE = ROOT / "examples/chelsea.png"


def run(*arguments: str | Path) -> str:
    """Run the runtime's command line, on the target's own environment."""
    if not RUNTIME.exists():
        pytest.skip("no .venv-runtime (make setup)")
    return subprocess.run([RUNTIME, *arguments], check=True, capture_output=True, text=True, timeout=300).stdout


def test_the_page(tmp_path: Path, ovenbird: Any) -> None:
    for name, text in re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```", PAGE, re.M | re.S):
        (tmp_path / name).write_text(text)
    (commands,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
    labels, compiling, running = commands.strip().splitlines()
    subprocess.run(labels, shell=True, cwd=tmp_path, check=True)
    done = ovenbird(*shlex.split(compiling)[1:], folder=tmp_path)
    assert done.code == 0, done.err
    assert "pre-processing from pets.preprocess.toml" in done.err
    words = shlex.split(running)[1:]
    assert words[:2] == ["run", "artifacts/pets"]
    answer = json.loads(run("run", tmp_path / words[1], ROOT / words[2], "--json", "--top", "3"))
    classes = answer[0]["classes"]["logits"]
    assert {one["label"] for one in classes} == {"cat", "dog", "parrot"}


def test_an_onnx_file_that_takes_channels_last_and_bgr(tmp_path: Path, ovenbird: Any) -> None:
    """The mean of each channel as it reaches the network, seen from outside."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", "h", "w", 3])
    means = helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 3])
    node = helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2], keepdims=0)
    graph = helper.make_graph([node], "net", [image], [means])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "means.onnx")
    done = ovenbird(
        "compile", "means.onnx", "--size", "24x40", "--scale", "1", "--channels", "bgr", "--answer", "embedding",
        "--mean", "10,20,30", "-o", "art", "--batch-sizes", "1", folder=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(run("run", tmp_path / "art", PICTURE, "--json", "--embedding"))
    found = answer[0]
    picture = Image.open(PICTURE).convert("RGB").resize((40, 24), Image.Resampling.BILINEAR)
    right = np.asarray(picture, np.float64).mean((0, 1)) - [10, 20, 30]
    np.testing.assert_allclose(found["embeddings"]["means"]["vector"], right[::-1], rtol=1e-4)
