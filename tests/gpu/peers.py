"""Other engines' time for ResNet50 on this GPU, copies to it and back included as ours are; those that are installed.

python tests/gpu/peers.py float16 image.npy 1,8,64     # one line of JSON: {"torch eager": {"1": 4.2, ...}, ...}

A process of its own: torch and ONNX Runtime bring their own CUDA libraries. Float32 is float32 for all: no TF32, which
both would take by default.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ovenbird.networks.torchvision import import_torchvision

WARM, TIMED = 5, 30


def median_ms(run: Callable[[], object]) -> float:
    """The median of some calls, after some that are not counted."""
    for _ in range(WARM):
        run()
    spent = []
    for _ in range(TIMED):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return sorted(spent)[TIMED // 2] * 1e3


def torch_times(image: np.ndarray, precision: str, batches: list[int]) -> dict[str, dict[int, float]]:
    """torch, eager and compiled; nothing where it has no CUDA."""
    import torch

    if not torch.cuda.is_available():
        return {}
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    half = precision == "f16"
    layout = torch.channels_last if half else torch.contiguous_format  # what tensor cores are fastest with
    dtype = torch.float16 if half else torch.float32
    module = import_torchvision().models.resnet50().eval().to(device="cuda", dtype=dtype, memory_format=layout)
    found: dict[str, dict[int, float]] = {}
    for name in ("torch eager", "torch.compile"):
        run = module if name == "torch eager" else torch.compile(module, dynamic=False)

        def call(batch: int, run: Any = run) -> object:
            given = torch.from_numpy(image[:batch]).to(device="cuda", dtype=dtype, memory_format=layout)
            return run(given).float().cpu()

        try:
            with torch.inference_mode():
                found[name] = {batch: median_ms(lambda b=batch: call(b)) for batch in batches}  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - a peer that does not work here is none
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    return found


def onnx_times(image: np.ndarray, batches: list[int]) -> dict[str, dict[int, float]]:
    """ONNX Runtime's CUDA provider in float32; nothing where it has none."""
    import torch

    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError:
        return {}
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return {}
    data, module = io.BytesIO(), import_torchvision().models.resnet50().eval()
    torch.onnx.export(
        module,
        (torch.from_numpy(image[:1]),),
        data,
        input_names=["image"],
        dynamic_axes={"image": {0: "n"}},
        dynamo=False,
    )
    providers = [("CUDAExecutionProvider", {"use_tf32": "0"})]
    session = onnxruntime.InferenceSession(data.getvalue(), providers=providers)
    if "CUDAExecutionProvider" not in session.get_providers():  # it fell back to the processor
        return {}
    return {
        "ONNX Runtime CUDA (fp32)": {
            batch: median_ms(lambda b=batch: session.run(None, {"image": image[:b]}))  # type: ignore[misc]
            for batch in batches
        }
    }


def main(precision: str, image_path: str, batches: str) -> None:
    """Time what there is."""
    warnings.simplefilter("ignore")
    image, sizes = np.load(image_path), [int(size) for size in batches.split(",")]
    found = torch_times(image, precision, sizes)
    if precision == "f32":
        found.update(onnx_times(image, sizes))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
