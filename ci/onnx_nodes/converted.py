"""Files as tf2onnx, Keras, paddle2onnx and older exporters write them, made by hand: their converters are not here.

    for case in converted(): case.name, case.model

They differ from torch's in what stands around the layers: images with channels last behind a Transpose, sizes computed
by Shape, Cast, Slice and Concat, parameters given by Constant nodes, batches written -1, weights among the inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from cases import Case
from exported import case_of
from onnx import TensorProto, helper, numpy_helper

Line = tuple[Any, ...]
"""Operator, inputs, outputs (in words), and its attributes."""


def converted() -> Iterator[Case]:
    """Yield the files as cases, each with the inputs that it is given."""
    for name, (model, inputs) in {**tensorflow(), **paddle(), **older()}.items():
        yield case_of(name, name.split("-")[0], model, list(inputs))


def file(
    lines: Sequence[Line],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Sequence[str],
    weights: Mapping[str, Any],
    opset: int,
    **options: Any,
) -> Any:
    """Return a model. `options`: `as_inputs` (weights are inputs as well), `constants` (weights are Constant nodes)."""
    skipped = "empty" if opset < 13 else ""  # before it, what is not given is given as nothing
    nodes = [
        helper.make_node(op, [skipped if n == "none" else n for n in i.split()], o.split(), **(rest[0] if rest else {}))
        for op, i, o, *rest in lines
    ]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    described = [value(name, shape) for name, shape in inputs.items()]
    if options.pop("as_inputs", False):
        described += [helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)) for each in tensors]
    if options.pop("constants", False):
        nodes = [helper.make_node("Constant", [], [each.name], value=each) for each in tensors] + nodes
        tensors = []
    graph = helper.make_graph(nodes, "graph", described, [value(name, None) for name in outputs], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **options)


def value(name: str, shape: Sequence[Any] | None) -> Any:
    """Describe a float tensor; -1 is written as it is."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def drawn(*shape: int, seed: int = 0) -> Any:
    """Draw weights."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32) * np.float32(0.3)


def ints(*numbers: int, dtype: Any = np.int64) -> Any:
    """Return whole numbers."""
    return np.array(numbers, dtype)


def tensorflow() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return what tf2onnx makes of Keras: channels last, SAME padding, shapes computed."""
    image = drawn(3, 12, 10, 3, seed=9)
    lines: list[Line] = [
        ("Transpose", "image:0", "t", {"perm": [0, 3, 1, 2]}),
        ("Sub", "t mean", "t0"), ("Div", "t0 std", "t1"),
        ("Conv", "t1 kernel", "c", {"strides": [2, 2], "auto_pad": "SAME_UPPER", "kernel_shape": [3, 3]}),
        ("BatchNormalization", "c scale shift moved var", "n", {"epsilon": 1e-3}),
        ("Clip", "n zero six", "r"),
        ("Pad", "r edges", "p"),
        ("Conv", "p depth", "d", {"group": 6, "strides": [2, 2], "auto_pad": "VALID"}),
        ("Sigmoid", "d", "s"), ("Mul", "d s", "m"),
        ("GlobalAveragePool", "m", "g"), ("Squeeze", "g axes", "q"), ("Reshape", "q wide", "q4"),
        ("Conv", "q4 squeeze", "e"), ("HardSigmoid", "e", "h", {"alpha": 1 / 6}), ("Mul", "m h", "x"),
        ("Shape", "x", "shape"), ("Cast", "shape", "shape32", {"to": TensorProto.INT32}),
        ("Slice", "shape32 two four last", "sides"), ("Mul", "sides double", "larger"),
        ("Cast", "larger", "larger64", {"to": TensorProto.INT64}),
        ("Slice", "shape zero1 two1 last", "front"), ("Concat", "front larger64", "sizes", {"axis": 0}),
        ("Resize", "x none none sizes", "u", {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}),
        ("Resize", "x none scales", "v", {
            "mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "tf_half_pixel_for_nn"}),
        ("Add", "u v", "w"), ("Transpose", "w", "map:0", {"perm": [0, 2, 3, 1]}),
        ("ReduceMean", "w", "mean1", {"axes": [2, 3], "keepdims": 0}), ("MatMul", "mean1 dense", "l"),
        ("Add", "l bias", "logits"), ("Softmax", "logits", "Identity:0", {"axis": -1}),
        ("ArgMax", "logits", "best", {"axis": 1, "keepdims": 0}),
    ]  # fmt: skip
    weights = {
        "mean": drawn(1, 3, 1, 1), "std": np.full((1, 3, 1, 1), 0.5, np.float32), "kernel": drawn(6, 3, 3, 3),
        "scale": drawn(6) + 1, "shift": drawn(6, seed=1), "moved": drawn(6, seed=2), "var": np.abs(drawn(6)) + 0.5,
        "zero": np.float32(0), "six": np.float32(6), "edges": ints(0, 0, 0, 0, 0, 0, 1, 1), "depth": drawn(6, 1, 3, 3),
        "axes": ints(2, 3), "wide": ints(-1, 6, 1, 1), "squeeze": drawn(6, 6, 1, 1), "two": ints(2), "four": ints(4),
        "last": ints(0), "double": ints(2, 2, dtype=np.int32), "zero1": ints(0), "two1": ints(2),
        "scales": np.float32([1, 1, 2, 2]), "empty": np.float32([]), "dense": drawn(6, 5), "bias": drawn(5),
    }  # fmt: skip
    outputs = ["map:0", "Identity:0"]
    found = {}
    for opset in (11, 13, 15, 17):
        own = with_axes(lines, opset)
        model = file(own, {"image:0": ["unk__7", 12, 10, 3]}, outputs, weights, opset, producer_name="tf2onnx")
        found[f"tensorflow-{opset}"] = model, (image,)
    return found


def with_axes(lines: Sequence[Line], opset: int) -> list[Line]:
    """Return the lines, Squeeze with its axes as an attribute before operator set 13."""
    if opset >= 13:
        return list(lines)
    axes = {"axes": [2, 3], "two": [2]}
    return [
        (line[0], line[1].split()[0], line[2], {"axes": axes[line[1].split()[1]]}) if line[0] == "Squeeze" else line
        for line in lines
    ]


def paddle() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return what paddle2onnx makes: Constant nodes for all, batches of -1, hard swish in parts, sizes from maps."""
    image = drawn(1, 3, 16, 24, seed=8)
    lines: list[Line] = [
        ("Conv", "x conv2d_0.w_0", "conv2d_0.tmp_0", {
            "dilations": [1, 1], "group": 1, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ("BatchNormalization", "conv2d_0.tmp_0 s b m v", "bn.tmp_2", {"epsilon": 1e-5, "momentum": 0.9}),
        ("Add", "bn.tmp_2 three", "hs0"), ("Clip", "hs0 low high", "hs1"), ("Mul", "bn.tmp_2 hs1", "hs2"),
        ("Div", "hs2 six", "hardswish_0.tmp_0"),
        ("MaxPool", "hardswish_0.tmp_0", "pool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 0,
                                                 "auto_pad": "NOTSET", "pads": [0, 0, 0, 0]}),
        ("Shape", "hardswish_0.tmp_0", "shape_0.tmp_0"), ("Cast", "shape_0.tmp_0", "s32", {"to": TensorProto.INT32}),
        ("Slice", "s32 start end axis", "hw"), ("Cast", "hw", "hw64", {"to": TensorProto.INT64}),
        ("Shape", "pool", "shape_1"), ("Slice", "shape_1 zero end2 axis", "nc"), ("Concat", "nc hw64", "sizes",
                                                                                {"axis": 0}),
        ("Resize", "pool none none sizes", "nearest_0", {
            "mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}),
        ("Resize", "pool none scales", "linear_0", {
            "mode": "linear", "coordinate_transformation_mode": "align_corners"}),
        ("Concat", "nearest_0 linear_0", "concat_0.tmp_0", {"axis": 1}),
        ("ConvTranspose", "concat_0.tmp_0 up", "t0", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0],
                                                     "dilations": [1, 1], "group": 1}),
        ("Add", "t0 upb", "t1"), ("Sigmoid", "t1", "sigmoid_0.tmp_0"), ("Identity", "sigmoid_0.tmp_0", "maps"),
        ("AveragePool", "hardswish_0.tmp_0", "a0", {"kernel_shape": [8, 1], "strides": [8, 1]}),
        ("Squeeze", "a0 two", "a1"), ("Transpose", "a1", "a2", {"perm": [0, 2, 1]}),
        ("Shape", "a2", "sh"), ("Slice", "sh zero one axis", "n"), ("Concat", "n many seq", "to", {"axis": 0}),
        ("Reshape", "a2 to", "a3"), ("MatMul", "a3 fc", "fc0"), ("Add", "fc0 fcb", "fc1"),
        ("ReduceMean", "fc1", "mu", {"axes": [2], "keepdims": 1}), ("Sub", "fc1 mu", "d"), ("Pow", "d two32", "dd"),
        ("ReduceMean", "dd", "va", {"axes": [2], "keepdims": 1}), ("Add", "va eps", "ve"), ("Sqrt", "ve", "sd"),
        ("Div", "d sd", "ln"), ("Softmax", "ln", "softmax_0.tmp_0", {"axis": 2}),
    ]  # fmt: skip
    weights = {
        "conv2d_0.w_0": drawn(4, 3, 3, 3), "s": drawn(4) + 1, "b": drawn(4, seed=1), "m": drawn(4, seed=2),
        "v": np.abs(drawn(4)) + 0.5, "three": np.float32([3]), "six": np.float32([6]), "low": np.float32(0),
        "high": np.float32(6), "start": ints(2), "end": ints(4), "end2": ints(2), "axis": ints(0), "zero": ints(0),
        "one": ints(1), "many": ints(-1), "seq": ints(4), "empty": np.float32([]), "scales": np.float32([1, 1, 2, 2]),
        "up": drawn(8, 2, 2, 2), "upb": drawn(1, 2, 1, 1), "two": ints(2), "fc": drawn(4, 7), "fcb": drawn(7),
        "two32": np.float32(2), "eps": np.float32(1e-5),
    }  # fmt: skip
    found = {}
    for opset in (11, 13, 16):
        own = with_axes(lines, opset)
        for name, shape in (("open", [-1, 3, -1, -1]), ("fixed", [-1, 3, 16, 24])):
            model = file(
                own, {"x": shape}, ["maps", "softmax_0.tmp_0"], weights, opset, constants=True, producer_name="Paddle"
            )  # fmt: skip
            found[f"paddle-{opset}-{name}"] = model, (image,)
    return found


def older() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return what exporters of before operator set 9 write: weights among the inputs, parameters as attributes."""
    image = drawn(1, 3, 8, 8, seed=7)
    lines: list[Line] = [
        ("Conv", "data w0 b0", "c", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("BatchNormalization", "c s b m v", "n", {"epsilon": 2e-5}), ("LeakyRelu", "n", "r", {"alpha": 0.1}),
        ("LRN", "r", "l", {"size": 3, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}),
        ("Pad", "l", "p", {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "mode": "constant", "value": 0.5}),
        ("MaxPool", "p", "mp", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Clip", "mp", "k", {"min": 0.0, "max": 1.0}),
        ("Slice", "k", "sl", {"starts": [0, 1], "ends": [4, 5], "axes": [2, 3]}),
        ("Dropout", "sl", "dr", {"ratio": 0.5}),
        ("Upsample", "dr", "u", {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 2.0]}), ("Flatten", "u", "f"),
        ("Gemm", "f w1 b1", "g", {"transB": 1}), ("Softmax", "g", "prob", {"axis": 1}),
        ("TopK", "g", "top index", {"k": 2, "axis": 1}),
        ("Unsqueeze", "g", "g3", {"axes": [2]}), ("ReduceSum", "g3", "sum", {"axes": [1, 2], "keepdims": 0}),
        ("Split", "u", "one two", {"axis": 1, "split": [1, 3]}),
    ]  # fmt: skip
    weights = {
        "w0": drawn(4, 3, 3, 3), "b0": drawn(4), "s": drawn(4) + 1, "b": drawn(4, seed=1), "m": drawn(4, seed=2),
        "v": np.abs(drawn(4)) + 0.5, "w1": drawn(6, 256), "b1": drawn(6),
    }  # fmt: skip
    outputs = ["prob", "top", "sum", "two"]
    return {
        f"older-{opset}{'-inputs' * held}": (
            file(lines, {"data": [1, 3, 8, 8]}, outputs, weights, opset, as_inputs=held), (image,)
        )
        for opset, held in ((7, True), (8, False), (8, True))
    }  # fmt: skip
