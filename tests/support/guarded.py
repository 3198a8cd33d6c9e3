"""Run a library by its plan with every buffer between two pages that nobody may touch.

    outputs = run_guarded(built, inputs)                    # a BuiltModule; a process of its own
    python tests/support/guarded.py ARTIFACT [ARTIFACT ...]         # every entry of the plan, on random inputs

Each tensor of a program (inputs, weights, constants, what kernels hand on, scratch memory) lies in pages of its own:
once with its end at the end of a page, once with its start at the start of one. An access outside ends the process,
and the kernel at work is named. What lies between a tensor's end and the page's, less than an alignment, is filled with
a pattern: a kernel that changes it is named as well, and one whose outputs depend on it gives other bits in the second
run. Outputs are filled with a pattern before each call.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ovenbird_runtime.artifact.plan import PLAN, PlanEntry
from ovenbird_runtime.artifact.plan_file import decode_plan, plan_bytes
from ovenbird_runtime.limits import ALIGNMENT_BYTES
from support.bare_kernels import BareLibrary

Array = np.ndarray[Any, Any]
Side = Literal["end", "start"]

PAGE = mmap.PAGESIZE
PATTERNS: dict[Side, int] = {"end": 0xFF, "start": 0x5A}
"""What fills memory that nobody wrote: NaN in one run, a large number in the other."""


GUARD_PAGES = "OVENBIRD_GUARD_PAGES"
"""Set in the environment, it has every library of a test run a second time between guard pages."""

AT_WORK = "at work: "


class Guard:
    """Memory between two pages that nobody may touch."""

    def __init__(self, nbytes: int, side: Side) -> None:
        held = -(-max(nbytes, 1) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        pages = -(-held // PAGE) * PAGE
        self.mapping = mmap.mmap(-1, pages + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.mapping))
        for page in (start, start + PAGE + pages):
            forbid(page)
        whole = np.frombuffer(self.mapping, np.uint8, pages, PAGE)
        whole[:] = self.pattern = PATTERNS[side]
        first = pages - held if side == "end" else 0
        self.memory = whole[first : first + nbytes]
        self.around = [whole[:first], whole[first + nbytes :]]

    def fill(self) -> None:
        """Forget what the memory holds."""
        self.memory[:] = self.pattern

    def untouched(self) -> bool:
        """Say whether nothing around the memory was written."""
        return all((rest == self.pattern).all() for rest in self.around)


def forbid(page: int) -> None:
    """Let any access to a page end the process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")


class GuardedLibrary(BareLibrary):
    """A library whose kernels get their scratch memory between such pages."""

    side: Side = "end"

    def _allocate(self, device: int, number: int, nbytes: int, code: int, bits: int) -> int:
        guard = Guard(nbytes, self.side)
        address = int(guard.memory.ctypes.data)
        self.scratch[address] = guard.memory
        self.guards = {**getattr(self, "guards", {}), address: guard}
        return address

    def _free(self, device: int, number: int, address: int) -> int:
        assert self.guards.pop(address).untouched(), "a kernel wrote outside its scratch memory"
        return super()._free(device, number, address)


def run_entry(
    entry: PlanEntry, library: GuardedLibrary, weights: Sequence[Array], inputs: Sequence[Array], side: Side
) -> list[Array]:
    """Call the kernels of an entry in turn, and return the outputs."""
    library.side = side
    constants = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in entry.constants]
    given: dict[str, Sequence[Array]] = {"input": inputs, "weight": weights, "constant": constants}
    guards: dict[tuple[str, int, int], Guard] = {}
    views: list[Array] = []
    keys: list[tuple[str, int, int]] = []
    for buffer in entry.buffers:
        key = (buffer.place, buffer.at, buffer.nbytes)
        if key not in guards:
            guards[key] = Guard(buffer.nbytes, side)
            if buffer.place != "arena":
                source = np.ascontiguousarray(given[buffer.place][buffer.at])
                guards[key].memory[:] = source.reshape(-1).view(np.uint8)
        keys.append(key)
        views.append(guards[key].memory.view(buffer.dtype).reshape(buffer.shape))
    for call in entry.calls:
        for index in call.writes:
            guards[keys[index]].fill()
        os.write(2, f"{AT_WORK}{call.kernel}\n".encode())
        library.call(call.kernel, [views[index] for index in (*call.reads, *call.writes)])
        for index in (*call.reads, *call.writes):
            assert guards[keys[index]].untouched(), f"{call.kernel} wrote outside buffer {index}"
    return [views[index].copy() for index in entry.outputs]


def run_twice(
    entry: PlanEntry, library: GuardedLibrary, weights: Sequence[Array], inputs: Sequence[Array]
) -> list[Array]:
    """Run an entry with both sides guarded in turn; its outputs must not depend on what lies around its tensors."""
    first, second = (run_entry(entry, library, weights, inputs, side) for side in PATTERNS)
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        assert one.tobytes() == other.tobytes(), f"output {index} depends on memory that nobody wrote"
    return first


def run_guarded(built: Any, inputs: Sequence[Array]) -> list[Array] | None:
    """Run the only entry of a `BuiltModule` in a process of its own; None where it has no plan.

    Raises AssertionError, which names the kernel that was at work when the process ended.
    """
    found = run_all_guarded(built, [inputs])
    return None if found is None else found[0]


def run_all_guarded(built: Any, inputs: Sequence[Sequence[Array]]) -> list[list[Array]] | None:
    """Run all entries, each on its inputs, as `run_guarded` runs the only one."""
    if built.plan is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built.export(folder / "model.so")
        (folder / PLAN).write_bytes(plan_bytes(built.plan))
        np.savez(folder / "weights.npz", *built.tensors)
        for index, arrays in enumerate(inputs):
            np.savez(folder / f"inputs{index}.npz", *arrays)
        guarded_process(folder)
        return [read_arrays(folder / f"outputs{index}.npz") for index in range(len(inputs))]


def guarded_process(*arguments: Path) -> None:
    """Run this file in a process of its own. Raises AssertionError."""
    tests = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        at_work = [line for line in done.stderr.splitlines() if line.startswith(AT_WORK)][-1:]
        rest = [line for line in done.stderr.splitlines() if not line.startswith(AT_WORK)][-3:]
        raise AssertionError(f"exit code {done.returncode}, {' '.join(at_work)} {' '.join(rest)}")


def read_arrays(path: Path) -> list[Array]:
    """Read what `np.savez` was given in a row."""
    with np.load(path) as stored:
        return [stored[f"arr_{index}"] for index in range(len(stored.files))]


def run_folder(folder: Path) -> None:
    """Run what `run_all_guarded` wrote."""
    plan = decode_plan((folder / PLAN).read_bytes())
    library = GuardedLibrary(folder / "model.so")
    weights = read_arrays(folder / "weights.npz")
    for index, entry in enumerate(plan.entries):
        inputs = read_arrays(folder / f"inputs{index}.npz")
        np.savez(folder / f"outputs{index}.npz", *run_twice(entry, library, weights, inputs))


def run_artifact(folder: Path) -> None:
    """Run every entry of an artifact's plan on random inputs."""
    from ovenbird_runtime.artifact.artifact import open_artifact
    from ovenbird_runtime.artifact.variant import choose_variant
    from ovenbird_runtime.machine.cpu import this_machine
    from support.plan_runner import some_inputs

    artifact = open_artifact(folder)
    variant, target = choose_variant(artifact, "cpu", this_machine())
    plan = artifact.read_plan(variant, target)
    assert plan is not None, f"{folder} has no plan"
    library = GuardedLibrary(folder / variant.path / "model.so")
    mapped = {name: artifact.map(name) for name in sorted({tensor.file for tensor in target.tensors})}
    weights = [mapped[tensor.file].view(tensor.offset, tensor.dtype, tensor.shape) for tensor in target.tensors]
    for entry in plan.entries:
        run_twice(entry, library, weights, some_inputs(artifact.manifest.inputs, entry.batch, seed=0))


if __name__ == "__main__":
    for argument in map(Path, sys.argv[1:]):
        (run_artifact if (argument / "manifest.json").exists() else run_folder)(argument)
