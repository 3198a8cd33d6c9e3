"""Convolutions of images, signals and volumes, and their transposes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm import relax

from ovenbird.networks.onnx.converters.structure.padding import padded, sides
from ovenbird.networks.onnx.node import Node, OnnxConverter

LAYOUTS = {1: ("NCW", "OIW", "IOW"), 2: ("NCHW", "OIHW", "IOHW"), 3: ("NCDHW", "OIDHW", "IODHW")}


def convolution(node: Node) -> relax.Expr:
    """`Conv` with any padding, its bias added."""
    shape, kernel = node.shape(0), node.shape(1)[2:]
    count = spatial(node, shape)
    strides, dilations = steps(node, "strides", count), steps(node, "dilations", count)
    before, after = sides(node, shape[2:], kernel, strides, dilations)
    data = node.tensor(0)
    if any(side < 0 for side in (*before, *after)):
        data = padded(node, data, [0, 0, *before], [0, 0, *after])
        before = after = [0] * count
    operator: Callable[..., relax.Expr] = (relax.op.nn.conv1d, relax.op.nn.conv2d, relax.op.nn.conv3d)[count - 1]
    layout, kernel_layout, _ = LAYOUTS[count]
    result = operator(
        data,
        node.tensor(1),
        strides=strides,
        padding=[*before, *after],
        dilation=dilations,
        groups=node.attribute("group", 1),
        data_layout=layout,
        kernel_layout=kernel_layout,
    )
    return biased(node, result, count)


def transposed(node: Node) -> relax.Expr:
    """`ConvTranspose`: the padding is given, or follows from the shape that the output is to have."""
    shape, kernel = node.shape(0), node.shape(1)[2:]
    count = spatial(node, shape)
    strides, dilations = steps(node, "strides", count), steps(node, "dilations", count)
    extra = list(node.attribute("output_padding") or [0] * count)
    whole = [
        stride * (extent - 1) + (window - 1) * dilation + 1
        for extent, window, stride, dilation in zip(shape[2:], kernel, strides, dilations, strict=True)
    ]
    before, after = _cut_off(node, shape[2:], whole, strides, extra)
    result = [full + more - first - last for full, more, first, last in zip(whole, extra, before, after, strict=True)]
    if min(result) < 1:
        raise node.refuse(f"its output would be {result}")
    groups = node.attribute("group", 1)
    operator: Callable[..., relax.Expr] = (
        relax.op.nn.conv1d_transpose, relax.op.nn.conv2d_transpose, relax.op.nn.conv3d_transpose,
    )[count - 1]  # fmt: skip
    layout, _, kernel_layout = LAYOUTS[count]
    # TVM knows no padding that lengthens, and less output padding than stride: cut or lengthen by itself
    plain = all(side >= 0 for side in (*before, *after)) and all(
        more < stride for more, stride in zip(extra, strides, strict=True)
    )
    computed = node.emit(
        operator(
            node.tensor(0),
            node.tensor(1),
            strides=strides,
            padding=[*before, *after] if plain else [0] * 2 * count,
            output_padding=extra if plain else [0] * count,
            dilation=dilations,
            groups=groups,
            data_layout=layout,
            kernel_layout=kernel_layout,
        )
    )
    if not plain:
        lengthened = [more - last for more, last in zip(extra, after, strict=True)]
        computed = padded(node, computed, [0, 0, *(-first for first in before)], [0, 0, *lengthened])
    return biased(node, computed, count)


def _cut_off(
    node: Node, extents: Sequence[int], whole: Sequence[int], strides: Sequence[int], extra: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return how much of the whole result is cut off before and after each axis."""
    count = len(whole)
    auto = node.attribute("auto_pad", "NOTSET")
    wanted = node.attribute("output_shape")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [extent * stride for extent, stride in zip(extents, strides, strict=True)]
    if wanted is None:
        pads = [0] * 2 * count if auto == "VALID" else list(node.attribute("pads") or [0] * 2 * count)
        return pads[:count], pads[count:]
    before, after = [], []
    for full, more, length in zip(whole, extra, list(wanted)[-count:], strict=True):
        total = full + more - length
        small, large = total // 2, total - total // 2
        before.append(small if auto == "SAME_UPPER" else large)
        after.append(large if auto == "SAME_UPPER" else small)
    return before, after


def biased(node: Node, result: relax.Expr, count: int) -> relax.Expr:
    """Add the third input to each channel."""
    if not node.has(2):
        return result
    column = node.emit(relax.op.reshape(node.tensor(2), [1, -1] + [1] * count))
    return relax.op.add(node.emit(result), column)


def spatial(node: Node, shape: Sequence[int]) -> int:
    """Return how many dimensions a layer moves along. Raises UnsupportedOperator for other than 1 to 3."""
    if len(shape) - 2 not in LAYOUTS:
        raise node.refuse(f"its input has {len(shape)} dimensions, known are 3 to 5")
    return len(shape) - 2


def steps(node: Node, name: str, count: int) -> list[int]:
    """Return a layer's strides or dilations, one a dimension."""
    return list(node.attribute(name) or [1] * count)


CONVOLUTIONS: dict[str, OnnxConverter] = {
    "Conv": convolution,
    "ConvTranspose": transposed,
}
