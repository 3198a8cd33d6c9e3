"""The passes around the lowering for a GPU, and those behind it.

Example: `lower_networks({EntryKey("main", 8): module}, "float16")` gives one module with `main_b8`.
"""

from __future__ import annotations

import tvm
from tvm import IRModule, relax

from ovenbird.backends.cuda.dtypes import FloatDtype
from ovenbird.backends.cuda.lowering.context import CudaLowering
from ovenbird.backends.cuda.lowering.handlers import HANDLERS
from ovenbird.lowering.channels_last import ChannelsLastForm
from ovenbird.lowering.dumping import NOWHERE, Dump
from ovenbird.lowering.entry_key import EntryKey, Networks
from ovenbird.lowering.pipeline import lower


def lower_networks(networks: Networks, dtype: FloatDtype, dump: Dump = NOWHERE) -> IRModule:
    """Return one module of fused, unscheduled functions; equal functions of several networks are shared."""

    def begin(builder: relax.BlockBuilder, function: relax.Function, key: EntryKey) -> CudaLowering:
        return CudaLowering(function, ChannelsLastForm(builder, dtype), HANDLERS)

    return lower(networks, begin, dump)


def executable_passes() -> tvm.transform.Pass:
    """From scheduled functions to the virtual machine's code: TVM's passes for CUDA without its own schedules.

    No CUDA graphs: they are captured per shape and would hold memory for every batch size that was ever run.
    """
    return tvm.transform.Sequential(
        [
            relax.transform.LegalizeOps(skip_ops=["relax.reshape"]),
            relax.transform.RewriteDataflowReshape(),
            relax.transform.ToNonDataflow(),
            relax.transform.RemovePurityChecking(),
            relax.transform.CallTIRRewrite(),
            relax.transform.StaticPlanBlockMemory(),
            relax.transform.LowerAllocTensor(),
            relax.transform.KillAfterLastUse(),
            relax.transform.LowerRuntimeBuiltin(),
            relax.transform.ComputePrimValue(),
            relax.transform.VMShapeLower(),
            relax.transform.AttachGlobalSymbol(),
        ]
    )
