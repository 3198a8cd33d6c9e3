"""Programs that torch's own quantizers wrote (PT2E): `quantized_decomposed` operators around those of floats.

Example: `quantize_per_tensor(x, 0.05, 128, 0, 255, torch.uint8)`, then `dequantize_per_tensor` of the same numbers.

They become `relax.quantize` and `relax.dequantize` (`passes.quantized.form`). torch multiplies by 1 / scale where we
divide, so that ties may fall to the other side: a quantum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tvm import relax

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.converters.converter import Arguments, Converter, dtype_name
from ovenbird.passes.quantized.form import kept_weight, levels, reals

EIGHT_BITS = (torch.int8, torch.uint8)
NAMES = frozenset(
    f"{way}_per_{unit}.{overload}"
    for way in ("quantize", "dequantize")
    for unit, overload in (("tensor", "default"), ("tensor", "tensor"), ("channel", "default"))
)
"""The operators that are known."""


def keeps_weight(node: Any) -> bool:
    """Return whether a node makes floats of a weight of 8 bits, which is to stay of 8 bits."""
    if getattr(node.target, "namespace", "") != "quantized_decomposed" or "dequantize" not in str(node.target):
        return False
    data = node.args[0].meta.get("val")
    return isinstance(data, torch.Tensor) and data.dtype in EIGHT_BITS and data.dim() > 1


def quantize(node: Any, importer: Any) -> Any:
    """`quantize_per_tensor`, `quantize_per_channel`."""
    given, scale, zero = _parameters(node, importer)
    dtype, limits = dtype_name(given.nodes["dtype"]), torch.iinfo(given.nodes["dtype"])
    if given.nodes["dtype"] not in EIGHT_BITS or scale.size != 1:
        raise UnsupportedOperator(f"it quantizes to {dtype}, {scale.size} scales; known are int8 and uint8, one scale")
    data, least, most = given["input"], int(given.nodes["quant_min"]), int(given.nodes["quant_max"])
    if (least, most) != (limits.min, limits.max):
        bounds = [float((level - int(zero.item())) * np.float32(scale.item())) for level in (least, most)]
        data = given.emit(relax.op.clip(data, *bounds))
    return given.emit(levels(data, scale.item(), zero.item(), dtype))


def dequantize(node: Any, importer: Any) -> Any:
    """`dequantize_per_tensor`, `dequantize_per_channel`."""
    given, scale, zero = _parameters(node, importer)
    if given.nodes["out_dtype"] not in (None, torch.float32):
        raise UnsupportedOperator(f"it gives {dtype_name(given.nodes['out_dtype'])}; known is float32")
    axis = given.nodes.get("axis") or 0
    known = importer.tensor_of(given.nodes["input"])
    if known is not None:
        array = known.detach().numpy()
        kept = kept_weight(array, scale, zero, axis) if known.dtype in EIGHT_BITS else None
        if kept is not None:
            return given.emit(kept)
        place = [-1 if at == axis else 1 for at in range(array.ndim)] if scale.size > 1 else []
        real = (array - zero.reshape(place)).astype(np.float32) * scale.reshape(place)
        return given.emit(relax.const(real.astype(np.float32)))
    if scale.size != 1:
        raise UnsupportedOperator(f"it has {scale.size} scales of a value that is computed; known is one")
    return given.emit(reals(given["input"], scale.item(), zero.item()))


def _parameters(node: Any, importer: Any) -> tuple[Arguments, Any, Any]:
    """Return the arguments, and scale (float32) and zero point (int64), of one number or one a channel."""
    if node.target.namespace != "quantized_decomposed":
        raise UnsupportedOperator("tensors of torch's quantized dtypes are not known; quantize by PT2E")
    given = Arguments.of(node, importer)
    found = []
    for name, dtype in (("scale", np.float32), ("zero_point", np.int64)):
        value = given.nodes.get(name, given.nodes.get(f"{name}s"))
        held = importer.tensor_of(value) if isinstance(value, torch.fx.Node) else value
        if held is None and isinstance(value, torch.fx.Node):
            raise UnsupportedOperator(f"its {name} is computed from the network's inputs; quantize with fixed ranges")
        array = np.zeros(1, dtype) if held is None else np.asarray(held).astype(dtype)
        found.append(array.reshape(-1))
    scale, zero = found
    return given, scale, np.broadcast_to(zero, scale.shape)


QUANTIZATION: dict[str, Converter] = {
    name: dequantize if name.startswith("dequantize") else quantize for name in sorted(NAMES)
}
