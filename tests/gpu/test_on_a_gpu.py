"""GPU code on a real GPU: agreement with torch, and our time beside other engines' on the same chip, in one run.

make test TESTS="tests/gpu -m gpu -s"
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ovenbird.compiling import CompileOptions, compile_network
from ovenbird.gpu.options import GpuOptions, Precision
from ovenbird.loading import NetworkOptions, load_network
from ovenbird_runtime.cuda import probe_gpu
from ovenbird_runtime.errors import DeviceUnavailable

pytestmark = pytest.mark.gpu

BATCHES = (1, 8, 64)
LEVELS = (90, 89, 80, 75)
RUN = """
import sys, time, json, numpy as np, ovenbird_runtime
data, times = np.load(sys.argv[2]), {}
with ovenbird_runtime.load(sys.argv[1], device="cuda") as model:
    for batch in (1, 8, 64):
        image = {"image": data["image"][:batch]}
        out = model.run(image)
        np.savez(f"{sys.argv[3]}-{batch}.npz", **out)
        spent = []
        for _ in range(30):
            start = time.perf_counter(); model.run(image); spent.append(time.perf_counter() - start)
        times[batch] = sorted(spent)[len(spent) // 2] * 1e3
print(json.dumps(times))
"""


@pytest.fixture(scope="module")
def target() -> str:
    """The target for this machine's first GPU."""
    try:
        major, minor = probe_gpu(0).compute
    except DeviceUnavailable as error:
        pytest.skip(str(error))
    return f"cuda-sm{next(level for level in LEVELS if level <= 10 * major + minor)}"


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_resnet50_beside_other_engines(target: str, tmp_path: Path, precision: Precision) -> None:
    network = load_network("resnet50", NetworkOptions(weights="random:7"))
    artifact = tmp_path / "artifact"
    compile_network(network, artifact, CompileOptions((target,), BATCHES, "none", gpu=GpuOptions(precision)))
    image = np.random.default_rng(0).standard_normal((max(BATCHES), 3, 224, 224)).astype(np.float32)
    np.savez(tmp_path / "in.npz", image=image)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    arguments = [str(artifact), str(tmp_path / "in.npz"), str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = network.reference({"image": image})
    for batch in BATCHES:
        got = np.load(tmp_path / f"out-{batch}.npz")
        for name, values in expected.items():
            scale = max(1.0, float(np.abs(values[:batch]).max()))
            tolerance = 1e-4 if precision == "float32" else 2e-2
            assert np.abs(got[name] - values[:batch]).max() <= tolerance * scale, (batch, name)
    ours = {int(batch): time for batch, time in json.loads(done.stdout).items()}
    for engine, times in peers(image, precision).items():
        for batch, theirs in times.items():
            print(f"{precision} batch {batch}: ours {ours[batch]:.3f} ms, {engine} {theirs:.3f} ms, ratio "
                  f"{ours[batch] / theirs:.2f}")  # fmt: skip


def peers(image: np.ndarray, precision: Precision) -> dict[str, dict[int, float]]:
    """The median ms of torch, eager and compiled, copies included as ours are; nothing where torch has no CUDA."""
    import time

    import torch
    import torchvision

    if not torch.cuda.is_available():
        return {}
    dtype = getattr(torch, precision)
    module = torchvision.models.resnet50().eval().to("cuda", dtype)
    found: dict[str, dict[int, float]] = {}
    for name, run in {"torch eager": module, "torch.compile": torch.compile(module)}.items():
        found[name] = {}
        for batch in BATCHES:
            spent = []
            with torch.inference_mode():
                for _ in range(33):
                    start = time.perf_counter()
                    run(torch.from_numpy(image[:batch]).to("cuda", dtype)).float().cpu()
                    spent.append(time.perf_counter() - start)
            found[name][batch] = sorted(spent[3:])[15] * 1e3
    found.update(onnx_runtime(image))
    return found


def onnx_runtime(image: np.ndarray) -> dict[str, dict[int, float]]:
    """The median ms of ONNX Runtime's CUDA provider in float32; nothing where it has none."""
    import io
    import time

    import onnxruntime
    import torch
    import torchvision

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return {}
    data = io.BytesIO()
    torch.onnx.export(
        torchvision.models.resnet50().eval(),
        (torch.from_numpy(image[:1]),),
        data,
        input_names=["image"],
        dynamic_axes={"image": {0: "n"}},
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(data.getvalue(), providers=["CUDAExecutionProvider"])
    times = {}
    for batch in BATCHES:
        spent = []
        for _ in range(33):
            start = time.perf_counter()
            session.run(None, {"image": image[:batch]})
            spent.append(time.perf_counter() - start)
        times[batch] = sorted(spent[3:])[15] * 1e3
    return {"ONNX Runtime CUDA (fp32)": times}
