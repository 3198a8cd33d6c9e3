"""Keeps functions that no schedule can take apart from fusion.

TVM writes scatters as plain loops, without a root block; `FuseTIR` refuses a group that holds one.
"""

from __future__ import annotations

import tvm
from tvm import IRModule, tirx
from tvm.s_tir import SBlockRealize

OPAQUE = 8
"""TVM's fusion kind of a function that fuses with nothing."""


@tvm.transform.module_pass(opt_level=0, name="KeepUnschedulableApart")  # type: ignore[untyped-decorator]
def keep_unschedulable_apart(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Mark functions without a root block opaque."""
    result = IRModule(dict(module.functions_items()), attrs=module.attrs)
    for name, function in module.functions_items():
        if isinstance(function, tirx.PrimFunc) and not isinstance(function.body, SBlockRealize):
            result[name] = function.with_attr("op_pattern", OPAQUE)
    return result
