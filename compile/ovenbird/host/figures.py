"""What a machine was measured to do, kept on it for the estimates of later compiles.

    keep_figures(MachineFigures(cpu_name(), 2, 8, gflops=228.0, gbytes_per_s=21.0, measured="2026-11-29T12:00:00Z"))
    read_figures(cpu_name(), 2).memory_bytes_per_cycle      # 6; read_figures is None for another processor

An estimate weighs arithmetic against what comes from memory. How they stand to each other differs by a factor of four
between virtual machines with the same instructions, and no file of the system says it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from ovenbird.replacing import replacing
from ovenbird.resources import cache_folder

FIGURES = "machine.json"
MULTIPLY_ADDS_PER_CYCLE = 2
"""Vectors that a core multiplies and adds in a cycle, by which estimates count cycles (`backends.cpu.algorithms`)."""


@dataclass(frozen=True)
class MachineFigures:
    """All `cores` together: `gflops` of multiply-adds in registers, `gbytes_per_s` read from memory.

    `lanes`: float32 values in a vector.
    """

    cpu: str
    cores: int
    lanes: int
    gflops: float
    gbytes_per_s: float
    measured: str

    @property
    def memory_bytes_per_cycle(self) -> int:
        """Bytes that arrive from memory while every core issues two vector multiply-adds.

        Whole, and at least 1: two measurements of one machine mostly agree.
        """
        gcycles_per_s = self.gflops / (self.cores * MULTIPLY_ADDS_PER_CYCLE * self.lanes * 2)
        return max(1, round(self.gbytes_per_s / gcycles_per_s))


def figures_file() -> Path:
    """Return where the figures lie, whether they are there or not."""
    return cache_folder() / FIGURES


def keep_figures(figures: MachineFigures) -> Path:
    """Write the figures for later compiles, whole or not at all, and return where. Raises OSError."""
    path = figures_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(json.dumps(dataclasses.asdict(figures), indent=1) + "\n", encoding="utf-8")
    return path


def read_figures(cpu: str, cores: int) -> MachineFigures | None:
    """Return what was measured on this processor with as many cores; None where nothing was, or nothing readable."""
    try:
        figures = MachineFigures(**json.loads(figures_file().read_text(encoding="utf-8")))
        usable = min(figures.gflops, figures.gbytes_per_s, figures.cores, figures.lanes) > 0
    except (OSError, ValueError, TypeError):
        return None
    return figures if usable and (figures.cpu, figures.cores) == (cpu, cores) else None
