"""What a compile gives: the code, its entries, and the tensors they take, which go into a file next to the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovenbird.linking.library import link_library
from ovenbird.lowering.layers import LayerRecord
from ovenbird.targets import TargetSpec
from ovenbird_runtime.artifact.plan import Plan
from ovenbird_runtime.manifest.target import Entry
from ovenbird_runtime.tensors.arrays import Array

StepReport = Callable[[str, int, int], None]
"""Called with a step's name, and how many of how many steps are done."""


@dataclass
class BuiltModule:
    """Compiled code, its entries and the tensors they take."""

    executable: Any
    target: TargetSpec
    entries: list[Entry]
    tensors: list[Array]
    layers: list[LayerRecord] = field(default_factory=list)
    resample: str = ""
    """The function that pre-processes images; empty where there is none."""
    resample_linear: str = ""
    """The one for OpenCV's filter."""
    plan: Plan | None = None
    """The entries as lists of kernel calls; None where none can be one."""
    unplanned: dict[str, str] = field(default_factory=dict)
    """The functions that the plan lacks, and what of each no plan can say."""

    def export(self, path: Path) -> None:
        """Link the library into `path`; the same code gives the same bytes. Raises BuildFailed, OutputError."""
        link_library(self.executable, path, self.target)
