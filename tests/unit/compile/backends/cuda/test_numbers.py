"""What the GPU code computes, on an emulated GPU: the artifact, its launches and TVM's CUDA runtime are real."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ovenbird.loading.load import load_network
from ovenbird_runtime.manifest.agreement import Precision
from support.cuda_emulation import build_emulation

from .conftest import Compile

RUN = """
import sys, numpy as np, ovenbird_runtime
with ovenbird_runtime.load(sys.argv[1], device="cuda") as model:
    assert model.device == "cuda" and model.target.kind == "cuda"
    name = model.inputs[0].name
    out = model.run({name: np.load(sys.argv[2])})
    again = model.run({name: np.load(sys.argv[2])})
assert all(np.array_equal(out[key], again[key]) for key in out)
np.save(sys.argv[3], next(iter(out.values())))
with ovenbird_runtime.load(sys.argv[1], device="cuda") as model:
    out = next(iter(model.run({name: np.load(sys.argv[4])}, nan="allow").values()))
np.save(sys.argv[5], np.isnan(out))
"""


@pytest.mark.parametrize("precision", ["f32", pytest.param("f16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name",
    ["convolutions", *(pytest.param(name, marks=pytest.mark.slow) for name in ("deep", "wide")), "transformer", "thin"],
)
def test_agrees_with_torch(compile_gpu: Compile, tmp_path: Path, name: str, precision: Precision) -> None:
    compiled = compile_gpu(name, "cuda-sm90", precision)
    network = load_network(f"support.gpu_networks:{name}")
    shape = network.inputs[0].with_batch(5)  # of 3, and of 1 twice or 3 once more
    image = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    (expected,) = network.reference({network.inputs[0].name: image}).values()
    np.save(tmp_path / "in.npy", image)
    image[1].flat[image[1].size // 2] = np.nan
    (spread,) = network.reference({network.inputs[0].name: image}).values()
    np.save(tmp_path / "nan.npy", image)
    emulation = build_emulation(tmp_path / "emulation", compiled.source)
    environment = {**emulation.environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    files = [str(tmp_path / name) for name in ("in.npy", "out.npy", "nan.npy", "spread.npy")]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(compiled.artifact), *files],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    got = np.load(tmp_path / "out.npy")
    scale = max(1.0, float(np.abs(expected).max()))
    tolerance = 2e-5 if precision == "f32" else 1e-2
    assert np.abs(got - expected).max() <= tolerance * scale
    found = np.load(tmp_path / "spread.npy")
    assert found[np.isnan(spread)].all(), "a maximum dropped a NaN"
    assert not np.delete(found, 1, axis=0).any()
