"""Whether a variant's code runs on a GPU.

check_gpu(target, probe_gpu(0))     # raises where code for `target` does not run on it
"""

from __future__ import annotations

from ..errors import DriverTooOld, WrongChip
from ..machine.cpu import version_pair
from ..machine.cuda import OLDEST_DRIVER, Gpu, dotted
from .target import Target


def check_gpu(target: Target, gpu: Gpu) -> None:
    """Raise what says why code for `target` does not run on `gpu`; return where it does.

    Machine code runs on later chips of the same generation, the PTX beside it on all later ones.
    """
    wanted = version_pair(target.driver) if target.driver else OLDEST_DRIVER
    if gpu.driver < wanted:
        raise DriverTooOld(
            f"{target.target} needs a driver for CUDA {dotted(wanted)}, this one is for {dotted(gpu.driver)}: "
            "upgrade the driver, or use device='cpu'"
        )
    levels = compute_levels(target)
    if not any(level <= gpu.compute for level in levels):
        raise WrongChip(
            f"{target.target} has code for {', '.join(target.compute) or 'no chip'} and later, "
            f"cuda:{gpu.index} is sm_{gpu.compute[0]}{gpu.compute[1]}: compile with a target for it"
        )


def compute_levels(target: Target) -> list[tuple[int, int]]:
    """Return the compute capabilities of a target's code: sm_90 is (9, 0), sm_120 is (12, 0)."""
    found = []
    for name in target.compute:
        digits = name.removeprefix("sm_")
        if digits.isdecimal() and len(digits) >= 2:
            found.append((int(digits[:-1]), int(digits[-1])))
    return found
