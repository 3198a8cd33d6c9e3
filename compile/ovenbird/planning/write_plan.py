"""From a module behind TVM's memory planning to the plan of its programs.

plan, reasons = write_plan(module, entries)        # a Plan or None; why entries have none, by function
"""

from __future__ import annotations

from collections.abc import Sequence

import tvm

from ovenbird.planning.place_tensors import place_tensors
from ovenbird.planning.read_calls import NotStraightLine, read_calls
from ovenbird.planning.tensors import StraightLine, TensorView
from ovenbird_runtime.artifact.plan import Buffer, Plan, PlanCall, PlanEntry
from ovenbird_runtime.limits import ALIGNMENT_BYTES, PLAN_VERSION
from ovenbird_runtime.manifest.target import Entry


def write_plan(module: tvm.IRModule, entries: Sequence[Entry]) -> tuple[Plan | None, dict[str, str]]:
    """Return the plan of the entries that can have one, and for each of the others what is in the way."""
    planned: list[PlanEntry] = []
    reasons: dict[str, str] = {}
    for entry in entries:
        try:
            planned.append(plan_entry(read_calls(module, entry.function, entry.weights), entry))
        except NotStraightLine as error:
            reasons[entry.function] = str(error)
    return (Plan(PLAN_VERSION, ALIGNMENT_BYTES, tuple(planned)) if planned else None), reasons


def plan_entry(program: StraightLine, entry: Entry) -> PlanEntry:
    """Return one program as an entry: its tensors placed, its views numbered by first use."""
    offsets, arena_bytes = place_tensors(program)
    numbers: dict[Buffer, int] = {}

    def number(view: TensorView) -> int:
        tensor = view.tensor
        at = offsets[tensor] if tensor.place == "arena" else tensor.index
        return numbers.setdefault(Buffer(tensor.place, at, view.dtype, view.shape), len(numbers))

    calls = tuple(
        PlanCall(call.kernel, tuple(map(number, call.reads)), tuple(map(number, call.writes))) for call in program.calls
    )
    outputs = tuple(map(number, program.outputs))
    return PlanEntry(
        program=entry.program,
        batch=entry.batch,
        size=entry.size,
        arena_bytes=arena_bytes,
        constants=tuple(array.tobytes().hex() for array in program.constants),
        buffers=tuple(numbers),
        calls=calls,
        outputs=outputs,
    )
