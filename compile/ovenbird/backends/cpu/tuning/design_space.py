"""The design spaces of a function: its own schedule with every choice left open, within the registers there are.

    spaces = DesignSpaces.of(task.module, machine)
    spaces.starts[0]           # the default schedule, as the first point of the first space

A structure that a schedule declares (`choices.structure`) spans a space of its own: MetaSchedule mutates the numbers in
a trace, never the primitives.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any

import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules import apply_schedule
from ovenbird.backends.cpu.schedules.choices import Samples
from ovenbird.measure.limits import SPACES_MAX
from ovenbird.operators.writing.blocks import extent

UNROLLED, VECTORIZED = 3, 2
"""tirx.ForKind of unrolled and vectorized loops."""
INIT = "_init"
"""What TVM puts behind a block's name when `decompose_reduction` parts its start from it."""


@dataclass
class DesignSpaces:
    """All spaces of one function; `starts` holds the first point of each, the default schedule first."""

    generator: Any
    starts: list[Schedule]

    @staticmethod
    def of(module: tvm.IRModule, machine: Machine) -> DesignSpaces:
        """Return the spaces of `module`; one without a choice has one point."""
        structures = enumerate_structures(module, machine)

        def spaces(sch: Schedule) -> list[Schedule]:
            return [sampled(sch.mod, machine, chosen) for chosen in structures]

        generator = ms.space_generator.ScheduleFn(
            spaces,
            sch_rules=[],
            postprocs=[FitsRegisters(machine)],
            mutator_probs={ms.mutator.MutateTileSize(): 0.6, MutateCategorical(): 0.4},
        )
        return DesignSpaces(generator, [sampled(module, machine, chosen) for chosen in structures])

    @property
    def has_choice(self) -> bool:
        """Whether there is anything to search."""
        return len(self.starts) > 1 or any(len(start.trace.decisions) for start in self.starts)


def sampled(module: tvm.IRModule, machine: Machine, structures: dict[str, Any]) -> Schedule:
    """Return the schedule with its trace, each variable at its default."""
    sch = Schedule(module)
    apply_schedule(sch, machine, Samples(structures))
    return sch


def enumerate_structures(module: tvm.IRModule, machine: Machine) -> list[dict[str, Any]]:
    """Return every combination of structures whose schedule applies, the default first; at most SPACES_MAX."""
    samples = Samples()
    apply_schedule(Schedule(module), machine, samples)
    default = {name: value for name, (value, _) in samples.declared.items()}
    found = [default]
    values = [known for _, known in samples.declared.values()]
    for combination in itertools.product(*values):
        chosen = dict(zip(samples.declared, combination, strict=True))
        if chosen == default or len(found) == SPACES_MAX:
            continue
        try:
            sampled(module, machine, chosen)
        except Exception:  # noqa: BLE001 - a structure that this function's shape does not allow is no space
            continue
        found.append(chosen)
    return found


def accumulators(sch: Schedule, machine: Machine) -> int:
    """Return the most vectors that one initialisation of a local accumulator keeps at once."""
    most = 0
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        body = sch.get(block)
        if not body.name_hint.endswith(INIT) or body.writes[0].source.scope() != "local":
            continue
        elements = 1
        for loop in sch.get_loops(block):
            if int(sch.get(loop).kind) in (UNROLLED, VECTORIZED):
                elements *= extent(sch, loop)
        most = max(most, -(-elements // machine.lanes(str(body.writes[0].source.dtype))))
    return most


@derived_object
class FitsRegisters(ms.postproc.PyPostproc):  # type: ignore[misc]
    """Refuses schedules that keep more accumulators than the processor has registers: they spill."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine

    def _initialize_with_tune_context(self, context: Any) -> None:
        """Needs nothing from it."""

    def apply(self, sch: Schedule) -> bool:
        """Return whether the schedule may stay."""
        return accumulators(sch, self.machine) < self.machine.registers

    def clone(self) -> FitsRegisters:
        """Return a copy for another thread."""
        return FitsRegisters(self.machine)


@derived_object
class MutateCategorical(ms.mutator.PyMutator):  # type: ignore[misc]
    """Moves one sampled category to another, mostly a neighbour; MetaSchedule's mutators know only perfect tiles."""

    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random(0)

    def _initialize_with_tune_context(self, context: Any) -> None:
        """Needs nothing from it."""

    def apply(self, trace: Any, _: int = 0) -> Any:
        """Return the mutated trace, or None where there is no category to move."""
        samples = [inst for inst in trace.decisions if inst.kind.name == "SampleCategorical" and len(inst.attrs[0]) > 1]
        if not samples:
            return None
        chosen = self.random.choice(samples)
        count, current = len(chosen.attrs[0]), int(trace.decisions[chosen])
        near = [index for index in (current - 1, current + 1) if 0 <= index < count]
        others = [index for index in range(count) if index != current]
        decision = self.random.choice(near if self.random.random() < 0.5 else others)
        return trace.with_decision(chosen, decision, remove_postproc=True)

    def clone(self) -> MutateCategorical:
        """Return a copy for another thread."""
        return MutateCategorical()
