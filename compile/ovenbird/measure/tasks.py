"""Tasks: the distinct functions of a lowered network, with what each weighs in the whole.

from ovenbird.lowering.pipeline import lower
networks = {EntryKey("main", 1): module}
tasks = extract_tasks(lower(networks, begin), networks)
tasks[3].title, tasks[3].layer.flops, tasks[3].calls      # "conv2d 1x4x56x56x16", 231211008, {"main_b1": 3}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import tvm
from tvm import relax, tirx
from tvm.s_tir import meta_schedule

from ovenbird.errors import UsageError
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.lowering.layers import LayerRecord, describe_layers
from ovenbird.records.workload import same_workload, workload, workload_hash


@dataclass(frozen=True)
class Argument:
    """One parameter of a function. `constant`: weights, which in the network come from memory."""

    shape: tuple[int, ...]
    dtype: str
    constant: bool


@dataclass
class Task:
    """One function to tune. `calls`: how often each entry (`main_b1`, ...) calls it; `batches`: the rows of each;
    outputs follow the arguments.
    """

    index: int
    module: tvm.IRModule
    layer: LayerRecord
    arguments: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    calls: dict[str, int] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    workload_hash: str = ""
    """The name that the database gives the function."""

    @property
    def title(self) -> str:
        """The anchor and the shape of its output."""
        return f"{self.layer.kind} {'x'.join(map(str, self.layer.shape))}"

    @property
    def images_weight(self) -> float:
        """Calls for one image, summed over the batch sizes: what a second saved in one call is worth."""
        return sum(count / self.batches[entry] for entry, count in self.calls.items())


def extract_tasks(lowered: tvm.IRModule, keys: Iterable[EntryKey]) -> list[Task]:
    """Return one task for each distinct function, in the order of the network; `keys`: what its entries are for."""
    batches = {key.function: key.batch for key in keys}
    layers = describe_layers(lowered)
    roles = constant_arguments(lowered)
    tasks: list[Task] = []
    known: dict[int, list[Task]] = {}
    for name, function in lowered.functions_items():
        if not isinstance(function, tirx.PrimFunc) or name.name_hint not in roles:
            continue
        module = workload(function)
        same = [task for task in known.get(workload_hash(module), []) if same_workload(task.module, module)]
        if same:
            task = same[0]
        else:
            task = new_task(len(tasks), module, layers[name.name_hint], roles[name.name_hint])
            known.setdefault(workload_hash(module), []).append(task)
            tasks.append(task)
        for entry, count in layers[name.name_hint].calls.items():
            task.calls[entry] = task.calls.get(entry, 0) + count
            task.batches[entry] = batches[entry]
    return tasks


def new_task(index: int, module: tvm.IRModule, layer: LayerRecord, constants: tuple[bool, ...]) -> Task:
    """Return the task of a workload whose inputs are constant or not as `constants` says."""
    tensors = [
        Argument(
            tuple(int(extent) for extent in info.shape),
            str(info.dtype),
            position < len(constants) and constants[position],
        )
        for position, info in enumerate(meta_schedule.arg_info.ArgInfo.from_prim_func(module["main"]))
    ]
    return Task(index, module, layer, tuple(tensors[: len(constants)]), tuple(tensors[len(constants) :]))


def constant_arguments(lowered: tvm.IRModule) -> dict[str, tuple[bool, ...]]:
    """For each function that an entry calls: which of its arguments are constants of the network."""
    roles: dict[str, tuple[bool, ...]] = {}
    for function in lowered.functions.values():
        if not isinstance(function, relax.Function):
            continue
        for block in function.body.blocks:
            for binding in block.bindings:
                call = binding.value
                if isinstance(call, relax.Call) and getattr(call.op, "name", "") == "relax.call_tir":
                    arguments = call.args[1].fields
                    name = call.args[0].name_hint
                    roles.setdefault(name, tuple(isinstance(arg, tvm.ir.GenericConst) for arg in arguments))
    return roles


def select_tasks(tasks: Sequence[Task], selection: str) -> list[Task]:
    """Read tvmc's `--tasks`: `all`, numbers and ranges (`0,3-5`), or part of a title (`conv2d`). Raises UsageError."""
    if selection == "all":
        return list(tasks)
    chosen: set[int] = set()
    for part in (part.strip() for part in selection.split(",")):
        numbers = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if numbers:
            first, last = int(numbers[1]), int(numbers[2] or numbers[1])
            found = {task.index for task in tasks if first <= task.index <= last}
            found = found if last < len(tasks) else set()
        else:
            found = {task.index for task in tasks if part and part in task.title}
        if not found:
            raise UsageError(
                f"--tasks {selection}: {part!r} matches none of 0-{len(tasks) - 1} (`--tasks list` shows them)"
            )
        chosen |= found
    return [task for task in tasks if task.index in chosen]
