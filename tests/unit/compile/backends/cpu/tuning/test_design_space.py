"""The design space begins at the default schedule, stays within the registers, and its numbers mutate."""

import tvm_ffi

from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.backends.cpu.schedules.choices import tile_sizes
from ovenbird.backends.cpu.tuning.design_space import (
    DesignSpaces,
    FitsRegisters,
    MutateCategorical,
    accumulators,
    sampled,
)
from ovenbird.measure.tasks import Task
from ovenbird.targets import TargetSpec


def test_the_first_point_is_the_default_schedule(tasks: list[Task], spec: TargetSpec) -> None:
    machine = machine_of(spec)
    for task in tasks:
        start = DesignSpaces.of(task.module, machine).starts[0]
        default = schedule_function(task.module["main"], machine)
        assert tvm_ffi.structural_equal(start.mod["main"].without_attr("global_symbol"),
                                        default.without_attr("global_symbol"))  # fmt: skip


def test_numbers_mutate_and_structures_stay(task: Task, spec: TargetSpec) -> None:
    trace = sampled(task.module, machine_of(spec), {}).trace
    mutator = MutateCategorical()
    mutants = [mutator.apply(trace) for _ in range(20)]
    assert {len(mutant.insts) for mutant in mutants} == {len(trace.insts)}
    assert len({str(list(mutant.decisions.values())) for mutant in mutants}) > 2


def test_more_accumulators_than_registers_are_refused(task: Task, spec: TargetSpec) -> None:
    machine = machine_of(spec)
    start = sampled(task.module, machine, {})
    held = accumulators(start, machine)
    assert 1 < held < machine.registers
    assert FitsRegisters(machine).apply(start)


def test_a_function_without_a_choice_has_one_point(tasks: list[Task], spec: TargetSpec) -> None:
    simple = [task for task in tasks if not task.layer.flops]
    assert simple
    for task in simple:
        assert not DesignSpaces.of(task.module, machine_of(spec)).has_choice


def test_tile_sizes_waste_little() -> None:
    assert tile_sizes(49, 28, 7) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 17, 18, 25, 26, 27, 28]
    assert 11 in tile_sizes(12, 12, 11)
