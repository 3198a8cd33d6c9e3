"""A small network of convolutions as ONNX, and what ONNX Runtime's own quantizer makes of it.

quantized = quantize_by_onnx(convolutional_model(), "QDQ", activations="uint8")
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from support.onnx_models import Small, model_of, tensor_info

IMAGE = (1, 3, 12, 12)


def images(count: int) -> np.ndarray:
    """Return seeded pictures, each of another mean."""
    random = np.random.default_rng(5)
    return (random.standard_normal((count, *IMAGE[1:])) + random.standard_normal((count, 1, 1, 1))).astype(np.float32)


def convolutional_model() -> Any:
    """Return convolution, depthwise convolution, residual, pools and a classifier of ten."""
    random = np.random.default_rng(3)

    def drawn(*shape: int) -> np.ndarray:
        fan = max(1, int(np.prod(shape[1:])))
        return (random.standard_normal(shape) * np.sqrt(2 / fan)).astype(np.float32)

    held = {
        "w0": drawn(8, 3, 3, 3), "b0": drawn(8), "w1": drawn(8, 1, 3, 3), "b1": drawn(8), "w2": drawn(8, 8, 1, 1),
        "b2": drawn(8), "w3": drawn(10, 8), "b3": drawn(10),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], group=8),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"]),
        helper.make_node("Add", ["c2", "r0"], ["a0"]),
        helper.make_node("MaxPool", ["a0"], ["m0"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["m0"], ["g0"]),
        helper.make_node("Flatten", ["g0"], ["f0"]),
        helper.make_node("Gemm", ["f0", "w3", "b3"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [tensor_info("x", np.dtype(np.float32), ("N", *IMAGE[1:]))],
        [tensor_info("y", np.dtype(np.float32), ("N", 10))],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    return model_of(graph, opset=17)


def quantize_by_onnx(model: Any, form: str, activations: str = "uint8", per_channel: bool = True) -> Any:
    """Return the model as ONNX Runtime's quantizer writes it: "QDQ", "QOperator" or "dynamic"."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = iter(images(8))

        def get_next(self) -> Any:
            image = next(self.rest, None)
            return None if image is None else {"x": image[None]}

    kinds = {"uint8": quantization.QuantType.QUInt8, "int8": quantization.QuantType.QInt8}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given, found = Path(folder) / "given.onnx", Path(folder) / "found.onnx"
        onnx.save(model, str(given))
        if form == "dynamic":
            quantization.quantize_dynamic(given, found, weight_type=kinds["uint8"])
        else:
            quantization.quantize_static(
                given, found, Reader(), quant_format=quantization.QuantFormat[form], per_channel=per_channel,
                activation_type=kinds[activations], weight_type=kinds["int8"],
            )  # fmt: skip
        return onnx.load(str(found))


class Quantized(Small):
    """A quantized model of one picture, judged by ONNX Runtime."""

    def __init__(self, model: Any, label: str) -> None:
        self.model, self.label, self.by_runtime = model, label, True
        self.inputs = {"x": images(3)[2:]}
