"""Operators of our own, many in one library: each call has its own inputs, so nothing of one fuses with another.

(values, indices), (sums,) = run_operators([Call(Sort(1, True), (x,)), Call(Scan(1, "sum", "float32"), (y,))])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tvm
from tvm import relax

from ovenbird.backends.building import build_module
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.operators.writing.own import OwnOperator, Spec, own_call
from ovenbird.targets import load_target
from support.guarded import run_guarded


@dataclass(frozen=True, eq=False)
class Call:
    """An operator and its inputs."""

    operator: OwnOperator
    inputs: tuple[np.ndarray, ...]


def module_of(calls: Sequence[Call]) -> tvm.IRModule:
    """Return one function that makes all calls."""
    builder = relax.BlockBuilder()
    parameters = [
        [relax.Var(f"x{i}_{j}", relax.TensorType(x.shape, str(x.dtype))) for j, x in enumerate(call.inputs)]
        for i, call in enumerate(calls)
    ]
    with builder.function("main", [var for each in parameters for var in each]):
        with builder.dataflow():
            outputs = []
            for call, inputs in zip(calls, parameters, strict=True):
                found = builder.emit(own_call(call.operator, *inputs))
                fields = getattr(found.ty, "fields", None)
                count = 1 if fields is None else len(fields)
                outputs += [found] if fields is None else [relax.TupleGetItem(found, k) for k in range(count)]
            result = builder.emit_output(relax.Tuple([builder.emit(output) for output in outputs]))
        builder.emit_func_output(result)
    return builder.get()


def run_operators(calls: Sequence[Call]) -> list[list[np.ndarray]]:
    """Compile the calls into one library for this machine and run it between guard pages; return each one's outputs."""
    built = build_module({EntryKey(batch=1): module_of(calls)}, load_target("host"))
    found = run_guarded(built, [array for call in calls for array in call.inputs])
    assert found is not None, f"no plan: {built.unplanned}"
    outputs = iter(found)
    counts = [len(call.operator.outputs([Spec(x.shape, str(x.dtype)) for x in call.inputs])) for call in calls]
    return [[next(outputs) for _ in range(count)] for count in counts]
