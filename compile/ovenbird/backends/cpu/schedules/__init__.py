"""CPU schedules: one function a shape of work, chosen by the anchor block's annotation.

Example: `schedule_function(func, machine)` gives the scheduled PrimFunc.
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import tirx
from tvm.s_tir import Schedule

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.attention import schedule_attention
from ovenbird.backends.cpu.schedules.choices import Choices, Defaults
from ovenbird.backends.cpu.schedules.depthwise import schedule_depthwise
from ovenbird.backends.cpu.schedules.elementwise import schedule_concatenation, schedule_generic
from ovenbird.backends.cpu.schedules.expansion import schedule_expansion
from ovenbird.backends.cpu.schedules.plain_loops import weigh_loops
from ovenbird.backends.cpu.schedules.reduction import schedule_lanes
from ovenbird.backends.cpu.schedules.register_tile import schedule_register_tile
from ovenbird.backends.cpu.schedules.row_ops import schedule_rows
from ovenbird.backends.cpu.schedules.transposition import transposed
from ovenbird.backends.cpu.schedules.winograd import schedule_winograd
from ovenbird.operators.anchors import AnchorKind
from ovenbird.operators.writing.blocks import anchors_among, leaf_blocks

Rule = Callable[[Schedule, Machine, Choices], None]

RULES: dict[tuple[AnchorKind, ...], Rule] = {
    ("tile", "depthwise"): schedule_expansion,
    ("tile",): schedule_register_tile,
    ("depthwise",): schedule_depthwise,
    ("winograd",): schedule_winograd,
    ("lanes",): schedule_lanes,
    ("rows",): schedule_rows,
    ("attention",): schedule_attention,
    ("concatenation",): schedule_concatenation,
    (): schedule_generic,
}
"""By the kinds of the anchors; of several others, by that of the first."""


def apply_schedule(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule the function in `sch` by the rule of its anchors."""
    kinds = tuple(anchor.kind for anchor in anchors_among(sch, leaf_blocks(sch)))
    RULES[kinds if kinds in RULES else kinds[:1]](sch, machine, choices)


def schedule_function(function: tirx.PrimFunc, machine: Machine, by_anchor: bool = True) -> tirx.PrimFunc:
    """Return the function by its default schedule, its attributes kept; unless `by_anchor`, by the rule for functions
    without one.
    """
    function = transposed(function, machine) or function
    sch = Schedule(weigh_loops(function))
    if by_anchor:
        apply_schedule(sch, machine, Defaults())
    else:
        schedule_generic(sch, machine, Defaults())
    return sch.mod["main"].with_attrs(function.attrs) if function.attrs else sch.mod["main"]
