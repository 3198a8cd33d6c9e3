"""Keeps functions that no schedule can take apart from fusion.

TVM writes scatters as plain loops, without a root block; `FuseTIR` refuses a group that holds one. What pads the end or
keeps the beginning of a tensor reads it at the output's own places, and TVM takes it for elementwise: fused behind a
convolution, its size would not be the convolution's.
"""

from __future__ import annotations

import tvm
from tvm import IRModule, tirx
from tvm.s_tir import SBlockRealize

OPAQUE = 8
"""TVM's fusion kind of a function that fuses with nothing."""
BROADCAST, INJECTIVE = 1, 2
"""Its kinds of what may follow a convolution, at most, and of what reads each place from some other."""


@tvm.transform.module_pass(opt_level=0, name="KeepUnschedulableApart")  # type: ignore[untyped-decorator]
def keep_unschedulable_apart(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Mark functions without a root block opaque, and those that change a tensor's size injective."""
    result = IRModule(dict(module.functions_items()), attrs=module.attrs)
    for name, function in module.functions_items():
        if isinstance(function, tirx.PrimFunc) and not isinstance(function.body, SBlockRealize):
            result[name] = function.with_attr("op_pattern", OPAQUE)
        elif isinstance(function, tirx.PrimFunc) and _changes_size(function):
            result[name] = function.with_attr("op_pattern", INJECTIVE)
    return result


def _changes_size(function: tirx.PrimFunc) -> bool:
    """Return whether a function that passes for elementwise has an input of another size than its output."""
    pattern = function.attrs.get("op_pattern") if function.attrs else None
    shapes = [[*map(_extent, parameter.shape)] for parameter in function.params if hasattr(parameter, "shape")]
    if pattern is None or int(pattern) > BROADCAST or not shapes:
        return False
    *inputs, output = shapes
    return any(
        len(shape) == len(output) and any(one not in (1, other) for one, other in zip(shape, output, strict=True))
        for shape in inputs
    )


def _extent(extent: tirx.Expr) -> int | str:
    return int(extent) if isinstance(extent, tirx.IntImm) else str(extent)
