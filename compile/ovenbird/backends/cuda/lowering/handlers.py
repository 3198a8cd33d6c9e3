"""The table of handlers for GPUs: which Relax operator is lowered by which function.

Example: `HANDLERS["relax.nn.max_pool2d"]` is `(lower_pool2d,)`.
"""

from __future__ import annotations

from ovenbird.backends.cuda.lowering.conv2d import lower_batch_norm, lower_conv2d
from ovenbird.backends.cuda.lowering.dense import lower_matmul
from ovenbird.backends.cuda.lowering.elementwise import lower_binary, lower_unary
from ovenbird.backends.cuda.lowering.image_ops import lower_concat, lower_pad
from ovenbird.backends.cuda.lowering.pool2d import lower_adaptive_avg_pool2d, lower_mean, lower_pool2d
from ovenbird.backends.cuda.lowering.reshape import lower_broadcast_to, lower_permute_dims, lower_reshape
from ovenbird.lowering.operators.names import BINARY, UNARY
from ovenbird.lowering.operators.own import lower_own
from ovenbird.lowering.operators.standard import STANDARD
from ovenbird.lowering.walk import Handlers

HANDLERS: Handlers = {
    **STANDARD,
    **dict.fromkeys((*UNARY, "relax.tan", "relax.rsqrt", "relax.log"), (lower_unary,)),
    **dict.fromkeys(BINARY, (lower_binary,)),
    **dict.fromkeys(("relax.reshape", "relax.squeeze", "relax.expand_dims", "relax.flatten"), (lower_reshape,)),
    "relax.broadcast_to": (lower_broadcast_to,),
    "relax.call_pure_packed": (lower_own,),
    "relax.concat": (lower_concat,),
    "relax.matmul": (lower_matmul,),
    "relax.mean": (lower_mean,),
    "relax.nn.adaptive_avg_pool2d": (lower_adaptive_avg_pool2d,),
    "relax.nn.avg_pool2d": (lower_pool2d,),
    "relax.nn.batch_norm": (lower_batch_norm,),
    "relax.nn.conv2d": (lower_conv2d,),
    "relax.nn.max_pool2d": (lower_pool2d,),
    "relax.nn.pad": (lower_pad,),
    "relax.permute_dims": (lower_permute_dims,),
}
