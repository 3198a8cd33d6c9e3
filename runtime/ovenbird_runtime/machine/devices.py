"""Where to run, as users write it, in any case: "cpu", "cuda", "cuda:1", or a list of choices, "cuda,cpu".

    parse_devices("cuda:1,cpu")          # (Device("cuda", 1), Device("cpu", 0)): the GPU, else the processor

The order is the caller's: a later device is used only where an earlier one cannot be, and never unasked. `DEVICES`
lists the kinds there are; each is a file of this folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from ..dataclass import dataclass
from ..errors import DeviceUnavailable, shown
from .cpu import PROCESSOR
from .cuda import CUDA
from .device_kind import DeviceKind

DEVICES: Mapping[str, DeviceKind] = {kind.name: kind for kind in (PROCESSOR, CUDA)}
CodeKind = Literal["llvm", "cuda"]
"""The kinds of code that `target.json` may name: each the `code` of one of `DEVICES`."""

_DEVICE = re.compile(rf"({'|'.join(DEVICES)})(?::([0-9]{{1,3}}))?")


@dataclass(frozen=True)
class Device:
    """One device; `index` counts GPUs from 0."""

    name: str
    index: int = 0

    @property
    def kind(self) -> DeviceKind:
        """What is known of all devices of its name."""
        return DEVICES[self.name]

    def __str__(self) -> str:
        """Return the name as users write it."""
        return f"{self.name}:{self.index}" if self.index else self.name


CPU = Device("cpu")


def parse_devices(text: object) -> tuple[Device, ...]:
    """Read a device or a list of them, first choice first. Raises DeviceUnavailable for a name that there is not."""
    found = []
    for part in text.split(",") if isinstance(text, str) else [""]:
        match = _DEVICE.fullmatch(part.strip().lower())
        if match is None or (match[1] == "cpu" and match[2] not in (None, "0")):
            meant = "; an NVIDIA GPU is called cuda" if "gpu" in part.lower() or part.strip().isdecimal() else ""
            raise DeviceUnavailable(
                f"device {shown(text)} is unknown: choose cpu, cuda, cuda:1 ..., or a list as cuda,cpu{meant}"
            )
        found.append(Device(match[1], int(match[2] or 0)))
    return tuple(found)
