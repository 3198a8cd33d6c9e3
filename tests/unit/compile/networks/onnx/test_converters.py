"""Converters of ONNX's operators: small models compiled into one library, against ONNX's own evaluator.

All of ONNX's node tests are a command of their own: `ci/onnx_nodes`.
"""

import functools
from typing import Any

import numpy as np
import pytest

from support.onnx_models import Small, run_together

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.standard_normal((1, 2, 4, 5)).astype(np.float32)
FOUR = np.random.default_rng(1).standard_normal((2, 4, 3, 5)).astype(np.float32)
WHOLE = RANDOM.integers(-9, 9, (3, 4)).astype(np.int32)
ROWS = RANDOM.standard_normal((3, 4)).astype(np.float32)
BYTES = RANDOM.integers(0, 255, (1, 1, 4, 4)).astype(np.uint8)
KERNEL = RANDOM.standard_normal((2, 3, 3, 3)).astype(np.float32)
BOTTOM = np.float32([[-np.inf, -np.inf], [1, 2]])
SMALLEST = np.array([np.iinfo(np.int32).min, 7, -7, 5], np.int32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


def written_by(producer: str, small: Small) -> Small:
    """Make it a model that an exporter wrote, which is held to ONNX Runtime."""
    small.model.producer_name, small.by_runtime = producer, True
    return small


def resize(data: Any, *, scales: Any = None, sizes: Any = None, roi: Any = None, **attributes: Any) -> Small:
    return Small("Resize", {"x": data}, {"roi": roi, "scales": scales, "sizes": sizes}, **attributes)


def fused(operator: str, inputs: Any, constants: Any = None, **attributes: Any) -> Small:
    return Small(operator, inputs, constants, by_runtime=True, domain="com.microsoft", **attributes)


def eighth(*names: str) -> dict[str, Any]:
    """Return scales and zero points of eight-bit values, by the names of their inputs; no value falls on a half."""
    scales = {name: np.array(0.31 if name == "ys" else 0.25, np.float32) for name in names}
    return {name: np.array(7, np.uint8) if name.endswith("zero") else scale for name, scale in scales.items()}


CASES = [
    # whole numbers: towards zero, and nothing traps
    Small("Div", {"a": SMALLEST, "b": np.array([-1, 2, 2, -3], np.int32)}),
    Small("Mod", {"a": SMALLEST, "b": np.array([-1, 3, 3, -3], np.int32)}),
    Small("Mod", {"a": SMALLEST, "b": np.array([-1, 3, 3, -3], np.int32)}, fmod=1),
    Small("Mod", {"a": ROWS, "b": ROWS[:1] + 2}, fmod=1),
    Small("Pow", {"a": WHOLE}, {"b": ints(3)}),
    Small("Pow", {"a": np.abs(ROWS)}, {"b": floats(0.5)}),
    Small("BitShift", {"a": np.array([1, 255], np.uint8), "b": np.array([3, 9], np.uint8)}, direction="LEFT"),
    Small("Round", {"x": floats(0.5, 1.5, -0.5, -2.5, 2.4)}),
    Small("Cast", {"x": floats(-1.5, 255, 3.9, -0.2)}, types=[np.int8], to=3),
    Small("Cast", {"x": floats(0, 0.5, -3, np.nan)}, types=[np.bool_], to=9),
    Small("Cast", {"x": ROWS}, types=[np.float16], to=10),
    Small("Clip", {"x": ROWS}, {"min": np.float32(-0.5), "max": np.float32(0.5)}),
    Small("Clip", {"x": ROWS}, {"min": None, "max": np.float32(0.5)}),
    Small("Clip", {"x": WHOLE}, {"min": np.int32(-2), "max": np.int32(3)}),
    Small("Clip", {"x": ROWS, "low": np.float32(0), "high": np.float32(1)}),
    Small("Sign", {"x": floats(-2, 0, 3)}),
    Small("Not", {"x": ROWS > 0}),
    Small("Equal", {"a": ROWS > 0, "b": ROWS[:, ::-1] > 0}, types=[np.bool_]),
    Small("Gelu", {"x": ROWS}),
    Small("Swish", {"x": ROWS}, opset=24),
    Small("Elu", {"x": ROWS}, alpha=2.0, opset=9),
    Small("Celu", {"x": ROWS}, alpha=2.0),
    Small("PRelu", {"x": IMAGE}, {"slope": RANDOM.standard_normal((2, 1, 1)).astype(np.float32)}),
    # reductions
    Small("ReduceSum", {"x": IMAGE}, {"axes": ints(1, -1)}, keepdims=0),
    Small("ReduceSum", {"x": IMAGE}, {"axes": ints()}, noop_with_empty_axes=1),
    Small("ReduceMax", {"x": ROWS > 0}, {"axes": ints(1)}),
    Small("ReduceLogSumExp", {"x": ROWS + 1000}, {"axes": ints(1)}),
    Small("ReduceMean", {"x": IMAGE}, axes=[2, 3], opset=13),
    Small("ReduceL2", {"x": WHOLE.astype(np.float64)}, {"axes": ints(0)}),
    Small("ArgMax", {"x": floats(1, 3, 3, 0)}, types=[np.int64], select_last_index=1, axis=0),
    Small("ArgMin", {"x": WHOLE}, types=[np.int64], axis=1, keepdims=0),
    Small("CumSum", {"x": ROWS.astype(np.float64)}, {"axis": np.int64(1)}, exclusive=1, reverse=1),
    Small("Softmax", {"x": IMAGE}, axis=1, opset=11, by_runtime=True),
    Small("Hardmax", {"x": ROWS}),
    # shapes
    Small("Pad", {"x": IMAGE}, {"pads": ints(1, 2, 0, 2), "value": None, "axes": ints(-2, 3)}, mode="wrap"),
    Small("Pad", {"x": IMAGE}, {"pads": ints(0, 0, 2, 1, 0, 0, 0, 3), "value": np.float32(7)}),
    Small("Pad", {"x": IMAGE}, {"pads": ints(0, 0, 2, 1, 0, 0, 0, 3)}, mode="reflect"),
    Small("Pad", {"x": IMAGE}, {"pads": ints(0, 0, 2, 1, 0, 0, 0, 3)}, mode="edge"),
    Small("Slice", {"x": IMAGE}, {"starts": ints(-1, 1), "ends": ints(-99, 99), "a": ints(3, 2), "steps": ints(-2, 2)}),
    Small("Split", {"x": IMAGE}, outputs=3, axis=3, num_outputs=3),
    Small("Split", {"x": IMAGE}, {"split": ints(1, 4)}, outputs=2, axis=-1),
    Small("Tile", {"x": ROWS}, {"repeats": ints(2, 3)}),
    Small("Reshape", {"x": IMAGE}, {"shape": ints(0, -1, 5)}),
    Small("Unsqueeze", {"x": ROWS}, {"axes": ints(-1, 0)}),
    Small("Expand", {"x": ROWS}, {"shape": ints(2, 1, 4)}),
    Small("DepthToSpace", {"x": np.tile(IMAGE, (1, 2, 1, 1))}, blocksize=2, mode="CRD"),
    Small("SpaceToDepth", {"x": np.tile(IMAGE, (1, 1, 1, 2))}, blocksize=2),
    Small("Trilu", {"x": WHOLE}, {"k": np.int64(1)}, upper=0),
    Small("OneHot", {"x": ints(0, -1, 9)}, {"depth": np.int64(4), "values": ints(5, 6)}, types=[np.int64]),
    Small("GatherND", {"x": ROWS}, {"i": ints(2, 3, 0, -1).reshape(2, 2)}),
    Small("CenterCropPad", {"x": IMAGE}, {"shape": ints(6, 3)}, axes=[2, 3]),
    Small("Shape", {"x": IMAGE}, types=[np.int64], start=1),
    Small("Einsum", {"a": ROWS, "b": ROWS}, equation="ij,kj->ik"),
    Small("Col2Im", {"x": IMAGE[:, :, :, :4].reshape(1, 8, 4)}, {"image": ints(3, 3), "block": ints(2, 2)}),
    # images
    resize(IMAGE, scales=floats(1, 1, 2, 2), mode="nearest", nearest_mode="floor",
           coordinate_transformation_mode="asymmetric"),
    resize(IMAGE, scales=floats(1, 1, 1.6, 0.6), mode="linear"),
    resize(IMAGE, scales=floats(0.6, 0.6), axes=[2, 3], mode="linear", antialias=1),
    resize(IMAGE, sizes=ints(7, 3), axes=[2, 3], mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
    resize(IMAGE, sizes=ints(9, 9), axes=[3, 2], mode="nearest", keep_aspect_ratio_policy="not_larger"),
    resize(IMAGE, sizes=ints(1, 2, 3, 3), roi=floats(0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7), mode="linear",
           coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=10.0),
    resize(IMAGE, sizes=ints(1, 2, 8, 8), mode="linear", coordinate_transformation_mode="align_corners"),
    Small("AffineGrid", {"theta": IMAGE[:, :, :2, :3].reshape(-1)[:6].reshape(1, 2, 3)}, {"size": ints(1, 3, 4, 5)},
          by_runtime=True),
    Small("AffineGrid", {"theta": FOUR[:, :2, 0, :3]}, {"size": ints(2, 3, 4, 5)}, align_corners=1),
    Small("AffineGrid", {"theta": FOUR[:, :3, 0, :4]}, {"size": ints(2, 3, 2, 1, 5)}, by_runtime=True),
    # an exporter means whole pixels: 5 to 7, not to 7.5
    *(written_by(producer, resize(IMAGE, scales=floats(1, 1, 1.3, 1.5), mode="linear",
                                  coordinate_transformation_mode="align_corners"))
      for producer in ("pytorch", "PaddlePaddle", "")),
    written_by("tf2onnx", resize(IMAGE, scales=floats(1, 1, 1.3, 1.5), roi=floats(0, 0, 0.1, 0.2, 1, 1, 0.9, 1.3),
                                 mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
                                 extrapolation_value=3.0)),
    resize(BYTES, sizes=ints(1, 1, 8, 8), mode="nearest"),
    Small("Resize", {"x": IMAGE}, {"roi": floats(), "scales": floats(1, 1, 1.5, 0.6)}, opset=11, by_runtime=True,
          coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor"),
    Small("Conv", {"x": IMAGE}, {"w": KERNEL.transpose(1, 0, 2, 3)}, auto_pad="SAME_LOWER", strides=[2, 2]),
    Small("ConvTranspose", {"x": IMAGE}, {"w": KERNEL}, output_shape=[9, 12], strides=[2, 2]),
    Small("ConvTranspose", {"x": IMAGE}, {"w": KERNEL}, auto_pad="SAME_UPPER", strides=[3, 2]),
    Small("ConvTranspose", {"x": IMAGE}, {"w": KERNEL}, pads=[1, 0, 1, 2], output_padding=[1, 0], strides=[2, 2]),
    Small("MaxPool", {"x": IMAGE}, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    Small("MaxPool", {"x": IMAGE}, kernel_shape=[2, 2], pads=[1, 0, 0, 1], outputs=2,
          types=[np.float32, np.int64], by_runtime=True),
    Small("MaxPool", {"x": BYTES}, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    Small("AveragePool", {"x": IMAGE}, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, count_include_pad=1,
          pads=[1, 1, 1, 1]),
    Small("AveragePool", {"x": IMAGE}, kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    Small("LRN", {"x": IMAGE}, size=3, by_runtime=True),
    Small("InstanceNormalization", {"x": IMAGE}, {"s": floats(1, 2), "b": floats(3, 4)}),
    Small("GroupNormalization", {"x": FOUR}, {"s": floats(1, 2, 3, 4), "b": floats(5, 6, 7, 8)}, num_groups=2),
    Small("GroupNormalization", {"x": FOUR}, {"s": floats(1, 2), "b": floats(5, 6)}, opset=18, num_groups=2),
    Small("MeanVarianceNormalization", {"x": FOUR}),
    Small("MeanVarianceNormalization", {"x": FOUR}, axes=[1, 2]),
    Small("LayerNormalization", {"x": ROWS}, {"s": floats(1, 2, 3, 4)}, axis=-1, outputs=3),
    Small("BatchNormalization", {"x": IMAGE}, {key: floats(1, 2) for key in "sbmv"}),
    Small("Gemm", {"a": ROWS}, {"b": ROWS, "c": np.float32(2)}, alpha=0.5, beta=2.0, transB=1),
    Small("Det", {"x": RANDOM.standard_normal((2, 3, 3)).astype(np.float32)}),
    Small("Det", {"x": ROWS[:1, :1]}),
    Small("DFT", {"x": IMAGE[..., None]}, {"n": None, "axis": np.int64(3)}, onesided=1),
    Small("DFT", {"x": IMAGE[..., :2]}, {"n": np.int64(6)}),
    Small("DFT", {"x": IMAGE[..., :2]}, {"n": np.int64(5), "axis": np.int64(1)}, inverse=1, onesided=1),
    Small("DFT", {"x": IMAGE[..., 2:4]}, opset=17, axis=2, inverse=1),
    Small("STFT", {"x": ROWS.reshape(1, 12, 1)}, {"step": np.int64(3), "window": floats(1, 2, 3, 1), "n": np.int64(4)}),
    Small("MaxUnpool", {"x": IMAGE[:, :1, :2, :2], "i": ints(5, 7, 13, 15).reshape(1, 1, 2, 2)},
          {"shape": ints(1, 1, 5, 5)}, kernel_shape=[2, 2], strides=[2, 2]),
    # of nothing but infinity
    Small("ReduceMax", {"x": BOTTOM}, {"axes": ints(1)}),
    Small("ReduceMin", {"x": -BOTTOM}, {"axes": ints(1)}, keepdims=0),
    Small("MaxPool", {"x": BOTTOM[None, None]}, kernel_shape=[1, 2]),
    # what ONNX Runtime's optimiser and quantizer write
    fused("FusedConv", {"x": IMAGE}, {"w": KERNEL.transpose(1, 0, 2, 3), "b": floats(1, 2, 3)}, activation="LeakyRelu",
          activation_params=[0.3]),
    fused("FusedConv", {"x": IMAGE}, {"w": KERNEL[:, :2], "b": floats(1, 2), "sum": IMAGE[:, :, 2:, 2:]},
          activation="Relu"),
    fused("FusedGemm", {"a": ROWS}, {"b": ROWS, "c": np.float32(2)}, transB=1, activation="Relu"),
    fused("FusedMatMul", {"a": ROWS.reshape(3, 2, 2), "b": ROWS.reshape(3, 2, 2)}, alpha=0.5, transA=1, transB=1),
    fused("FusedMatMul", {"a": ROWS.reshape(3, 2, 2), "b": ROWS.reshape(2, 2, 3)}, transBatchA=1),
    fused("BiasGelu", {"x": ROWS, "b": ROWS[0]}),
    fused("FastGelu", {"x": ROWS, "b": ROWS[0]}),
    fused("FastGelu", {"x": ROWS}),
    fused("Gelu", {"x": ROWS}),
    fused("QuickGelu", {"x": ROWS}, alpha=1.5),
    fused("SkipLayerNormalization", {"x": ROWS[None], "skip": ROWS[None, ::-1]},
          {"scale": ROWS[0], "shift": ROWS[1], "bias": ROWS[2]}, outputs=1, epsilon=1e-5),
    fused("QLinearAdd", {"a": BYTES, **eighth("as", "a zero"), "b": BYTES[..., ::-1],
                         **eighth("bs", "b zero", "ys", "y zero")}),
    fused("QLinearMul", {"a": BYTES // 16, **eighth("as", "a zero"), "b": BYTES // 16 + 3,
                         **eighth("bs", "b zero", "ys", "y zero")}),
    fused("QLinearGlobalAveragePool", {"a": BYTES, **eighth("as", "a zero", "ys", "y zero")}),
    fused("QLinearAveragePool", {"a": BYTES, **eighth("as", "a zero", "ys", "y zero")}, kernel_shape=[2, 2]),
    fused("QLinearLeakyRelu", {"a": BYTES, **eighth("as", "a zero", "ys", "y zero")}, alpha=0.1),
    fused("QLinearSigmoid", {"a": BYTES, **eighth("as", "a zero", "ys", "y zero")}),
    fused("QLinearConcat", eighth("ys", "y zero") | {"a": BYTES} | eighth("as", "a zero") | {"b": BYTES}
          | eighth("bs", "b zero"), types=[np.uint8], axis=1),
    fused("QGemm", {"a": BYTES[0, 0]}, eighth("as", "a zero") | {"b": BYTES[0, 0]} | eighth("bs", "b zero")
          | {"c": np.int32([1, 200, -300, 4])} | {"ys": np.float32(90)} | eighth("y zero"), transB=1),
    # half precision, computed in float32; and eight bits
    Small("Softmax", {"x": ROWS.astype(np.float16)}),
    Small("QuantizeLinear", {"x": ROWS}, {"scale": np.float32(0.02), "zero": np.uint8(128)}, types=[np.uint8]),
    Small("DequantizeLinear", {"x": BYTES}, {"scale": np.float32(0.1), "zero": np.uint8(3)}, types=[np.float32]),
]  # fmt: skip


FEW = 3
"""Of so many cases, one runs without the slow ones."""


@functools.cache
def answers(few: bool) -> dict[int, list[Any]]:
    indices = [index for index in range(len(CASES)) if (index % FEW == 0) == few]
    return dict(zip(indices, run_together([CASES[index] for index in indices]), strict=True))


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(index, id=case.label, marks=[pytest.mark.slow] if index % FEW else [])
        for index, case in enumerate(CASES)
    ],
)
def test_a_converter_gives_what_onnx_does(index: int) -> None:
    given = answers(index % FEW == 0)[index]
    expected = CASES[index].expected()
    assert len(given) == len(expected)
    for found, right in zip(given, expected, strict=True):
        assert (found.dtype, found.shape) == (right.dtype, right.shape)
        np.testing.assert_allclose(found, right, rtol=2e-3 if right.dtype == np.float16 else 1e-5, atol=1e-5)


def test_normalizations_keep_their_digits_where_the_mean_is_large() -> None:
    """The bodies by which the standard defines some of them subtract squares: with a mean of 1000 nothing is left."""
    x, one, zero = FOUR + np.float32(1000), np.ones(4, np.float32), np.zeros(4, np.float32)
    cases: list[tuple[Small, tuple[int, ...], tuple[int, ...]]] = [
        (Small("GroupNormalization", {"x": x}, {"s": one, "b": zero}, num_groups=2), (2, 2, 30), (2,)),
        (Small("InstanceNormalization", {"x": x}, {"s": one, "b": zero}), (2, 4, 15), (2,)),
        (Small("LayerNormalization", {"x": x}, {"s": one[:1], "b": zero[:1]}, axis=1), (2, 60), (1,)),
        (Small("MeanVarianceNormalization", {"x": x}), (2, 4, 15), (0, 2)),
    ]
    for (given,), (_, shape, axes) in zip(run_together([small for small, *_ in cases]), cases, strict=True):
        rows = x.astype(np.float64).reshape(shape)
        right = (rows - rows.mean(axes, keepdims=True)) / np.sqrt(rows.var(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(given, right.reshape(x.shape), atol=1e-3)
