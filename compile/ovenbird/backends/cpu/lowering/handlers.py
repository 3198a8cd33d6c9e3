"""The table of handlers for processors: which Relax operator is lowered by which function.

Example: `HANDLERS["relax.add"]` is `(lower_binary, lower_map)`, asked in that order.
"""

from __future__ import annotations

from ovenbird.backends.cpu.lowering.conv2d import lower_batch_norm, lower_conv2d
from ovenbird.backends.cpu.lowering.conv2d_transpose import lower_conv2d_transpose
from ovenbird.backends.cpu.lowering.dense import lower_matmul
from ovenbird.backends.cpu.lowering.elementwise import lower_binary, lower_prelu, lower_unary
from ovenbird.backends.cpu.lowering.image_ops import lower_concat, lower_pad, lower_resize2d, lower_split
from ovenbird.backends.cpu.lowering.movements.permute import lower_permute
from ovenbird.backends.cpu.lowering.movements.reshape import lower_map, lower_shaper
from ovenbird.backends.cpu.lowering.movements.take import lower_take
from ovenbird.backends.cpu.lowering.norms import lower_group_norm, lower_instance_norm
from ovenbird.backends.cpu.lowering.pool2d import (
    lower_adaptive_avg_pool2d,
    lower_avg_pool2d,
    lower_max_pool2d,
    lower_mean,
)
from ovenbird.backends.cpu.lowering.quantized.conv2d import lower_levels_conv2d
from ovenbird.backends.cpu.lowering.quantized.dense import lower_levels_matmul
from ovenbird.backends.cpu.lowering.quantized.levels import lower_dequantize, lower_quantize, move_levels
from ovenbird.backends.cpu.lowering.quantized.pool2d import (
    lower_levels_adaptive_avg_pool2d,
    lower_levels_avg_pool2d,
    lower_levels_mean,
)
from ovenbird.backends.cpu.lowering.quantized.resize2d import lower_levels_resize2d
from ovenbird.backends.cpu.lowering.quantized.sums import add_to_sums, clamp_sums
from ovenbird.backends.cpu.lowering.row_ops import lower_layer_norm, lower_softmax
from ovenbird.lowering.operators.names import BINARY, MOVERS, SHAPERS, UNARY
from ovenbird.lowering.operators.own import lower_own
from ovenbird.lowering.operators.standard import STANDARD
from ovenbird.lowering.quantized.constants import lower_constant_dequantize
from ovenbird.lowering.walk import Handlers

PLAIN_HANDLERS: Handlers = {
    **STANDARD,
    **dict.fromkeys(UNARY, (lower_unary, lower_map)),
    **dict.fromkeys(BINARY, (lower_binary, lower_map)),
    **dict.fromkeys(SHAPERS, (lower_shaper,)),
    "relax.call_pure_packed": (lower_own,),
    "relax.permute_dims": (lower_shaper, lower_permute),
    "relax.concat": (lower_concat,),
    "relax.image.resize2d": (lower_resize2d,),
    "relax.matmul": (lower_matmul,),
    "relax.mean": (lower_mean,),
    "relax.nn.adaptive_avg_pool2d": (lower_adaptive_avg_pool2d,),
    "relax.nn.avg_pool2d": (lower_avg_pool2d,),
    "relax.nn.batch_norm": (lower_batch_norm,),
    "relax.nn.conv2d": (lower_conv2d,),
    "relax.nn.conv2d_transpose": (lower_conv2d_transpose,),
    "relax.nn.group_norm": (lower_group_norm,),
    "relax.nn.instance_norm": (lower_instance_norm,),
    "relax.nn.layer_norm": (lower_layer_norm,),
    "relax.nn.max_pool2d": (lower_max_pool2d,),
    "relax.nn.pad": (lower_pad,),
    "relax.nn.prelu": (lower_prelu,),
    "relax.nn.softmax": (lower_softmax,),
    "relax.split": (lower_split,),
    "relax.take": (lower_take,),
}
"""Of operators on floats."""

QUANTIZED_HANDLERS: Handlers = {
    **dict.fromkeys((*SHAPERS, *MOVERS), (move_levels,)),
    **dict.fromkeys(("relax.nn.relu", "relax.nn.relu6", "relax.clip"), (clamp_sums,)),
    "relax.add": (add_to_sums,),
    "relax.dequantize": (lower_constant_dequantize, lower_dequantize),
    "relax.matmul": (lower_levels_matmul,),
    "relax.mean": (lower_levels_mean,),
    "relax.nn.adaptive_avg_pool2d": (lower_levels_adaptive_avg_pool2d,),
    "relax.nn.avg_pool2d": (lower_levels_avg_pool2d,),
    "relax.nn.conv2d": (lower_levels_conv2d,),
    "relax.image.resize2d": (lower_levels_resize2d,),
    "relax.quantize": (lower_quantize,),
}
"""Of the same operators on levels, asked first."""

HANDLERS: Handlers = {
    name: (*QUANTIZED_HANDLERS.get(name, ()), *PLAIN_HANDLERS.get(name, ()))
    for name in {**PLAIN_HANDLERS, **QUANTIZED_HANDLERS}
}
