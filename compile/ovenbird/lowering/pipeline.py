"""The passes around the lowering: constants folded before it, operators fused behind it.

Example: `lower_networks({1: module, 8: module8}, machine)` gives one module with `main_b1` and `main_b8`.
"""

from __future__ import annotations

import tvm
from tvm import IRModule, relax, tirx
from tvm.s_tir import SBlockRealize

from ovenbird.backends.cpu.algorithms import Algorithm
from ovenbird.backends.cpu.lowering import (  # noqa: F401 - they register their handlers
    conv2d,
    conv2d_transpose,
    dense,
    elementwise,
    image_ops,
    pool2d,
    reshape,
    row_ops,
)
from ovenbird.backends.cpu.machine import Machine
from ovenbird.lowering.walk import Lowering


def entry_name(batch: int) -> str:
    """The name of the function compiled for `batch` images."""
    return f"main_b{batch}"


def lower_networks(
    networks: dict[int, IRModule],
    machine: Machine,
    algorithms: dict[str, Algorithm] | None = None,
    deciding: Machine | None = None,
) -> IRModule:
    """One module of fused, unscheduled functions; equal functions of several batch sizes are shared.

    `algorithms`: measured choices by `ConvolutionShape.key`, which come before the estimate.
    `deciding`: the machine that the estimate is for, `machine` unless its code shares weights with another's.
    """
    builder = relax.BlockBuilder()
    for batch, network in networks.items():
        function = prepare(network)["main"]
        Lowering(builder, function, machine, algorithms, batch, min(networks), deciding).run(entry_name(batch))
    return fuse(builder.get())


def prepare(network: IRModule) -> IRModule:
    """The network as one dataflow block with its constant parts computed."""
    passes = [
        relax.transform.ConvertToDataflow(),
        relax.transform.CanonicalizeBindings(),
        relax.transform.FoldConstant(),
        relax.transform.DeadCodeElimination(),
    ]
    return tvm.transform.Sequential(passes)(network)


#: TVM's fusion kind of a function that fuses with nothing.
OPAQUE = 8


@tvm.transform.module_pass(opt_level=0, name="KeepUnschedulableApart")  # type: ignore[untyped-decorator]
def keep_unschedulable_apart(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Marks functions without a root block (TVM writes scatters so) opaque: `FuseTIR` refuses a group with one."""
    result = IRModule(dict(module.functions_items()), attrs=module.attrs)
    for name, function in module.functions_items():
        if isinstance(function, tirx.PrimFunc) and not isinstance(function.body, SBlockRealize):
            result[name] = function.with_attr("op_pattern", OPAQUE)
    return result


def fuse(module: IRModule) -> IRModule:
    """Remaining operators made tensor expressions, elementwise epilogues fused into what they follow."""
    passes = [
        # First: a value that is computed but not used would keep its operands from fusing.
        relax.transform.DeadCodeElimination(),
        relax.transform.DecomposeOpsForInference(),
        # Reshapes stay: the runtime makes them views, which cost nothing.
        relax.transform.LegalizeOps(skip_ops=["relax.reshape"]),
        relax.transform.AnnotateTIROpPattern(),
        keep_unschedulable_apart,
        relax.transform.FuseOps(fuse_opt_level=2),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    ]
    return tvm.transform.Sequential(passes)(module)
