"""The passes around the lowering: constants folded before it, operators fused behind it.

Example: `lower({1: module, 8: module8}, begin)` gives one module with `main_b1` and `main_b8`.
"""

from __future__ import annotations

from collections.abc import Callable

import tvm
from tvm import IRModule, relax

from ovenbird.lowering.walk import Lowering
from ovenbird.passes.keep_unschedulable_apart import keep_unschedulable_apart

#: Makes the walk of a backend for a function of the network, given the builder to write to and its batch size.
Begin = Callable[[relax.BlockBuilder, relax.Function, int], Lowering]


def entry_name(batch: int) -> str:
    """Return the name of the function compiled for `batch` images."""
    return f"main_b{batch}"


def lower(networks: dict[int, IRModule], begin: Begin) -> IRModule:
    """Return one module of fused, unscheduled functions; equal functions of several batch sizes are shared."""
    builder = relax.BlockBuilder()
    for batch, network in networks.items():
        begin(builder, prepare(network)["main"], batch).run(entry_name(batch))
    return fuse(builder.get())


def prepare(network: IRModule) -> IRModule:
    """Return the network as one dataflow block with its constant parts computed."""
    passes = [
        relax.transform.ConvertToDataflow(),
        relax.transform.CanonicalizeBindings(),
        relax.transform.FoldConstant(),
        relax.transform.DeadCodeElimination(),
    ]
    return tvm.transform.Sequential(passes)(network)


def fuse(module: IRModule) -> IRModule:
    """Make remaining operators tensor expressions, and fuse elementwise epilogues into what they follow."""
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
