"""What a kind of device is to the runtime: a name, its memory, its libraries, and the chips that the machine has of it.

A kind is one file of this folder that makes a `DeviceKind`, and its line in `devices.DEVICES`:

    CUDA = DeviceKind("cuda", "cuda", dlpack=2, probe=probe_gpu, own_memory=True, libraries=(...))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..dataclass import dataclass


class CodeNeeds(Protocol):
    """The part of `target.json` that a chip is asked about."""

    @property
    def target(self) -> str:
        """The target's name."""
        ...

    @property
    def compute(self) -> tuple[str, ...]:
        """The chips that the code was built for, as their maker calls them."""
        ...

    @property
    def driver(self) -> str:
        """The oldest driver that runs the code, as "13.0"; empty for any."""
        ...


class DeviceChip(Protocol):
    """One device of this machine, as its driver describes it."""

    def check(self, code: CodeNeeds) -> None:
        """Raise the MachineError that says why the chip does not run `code`; return where it does."""
        ...

    def rank(self, code: CodeNeeds) -> tuple[int, ...]:
        """Return what orders the variants that the chip runs, the best highest."""
        ...


@dataclass(frozen=True)
class DeviceKind:
    """One kind of device.

    `name`: as users write it. `code`: the kind of code that it runs, as `target.json` says it. `dlpack`: its number in
    DLPack (`DLDeviceType`). `own_memory`: whether tensors are copied to it, rather than lent. `probe`: finds the chip
    of an index, or raises a MachineError. `libraries`: what is loaded from the runtime's own `lib/`, after
    `load_vendor` has loaded what the chip's maker brings.
    """

    name: str
    code: str
    dlpack: int
    probe: Callable[[int], DeviceChip]
    own_memory: bool = False
    libraries: tuple[str, ...] = ()
    load_vendor: Callable[[], object] = lambda: None
