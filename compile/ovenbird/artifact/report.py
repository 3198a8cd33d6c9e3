"""What a compile wrote, and what is known about it.

    report = ovenbird.compile("resnet50", output="artifacts/resnet50")
    report.output, report.errors        # PosixPath("artifacts/resnet50"), {"logits": 1.5e-05, "embedding": 3.8e-06}

It holds no object of TVM's: it goes from one process to another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird_runtime.manifest.manifest import Manifest, Parity

if TYPE_CHECKING:
    from ovenbird.lowering.layers import LayerRecord


@dataclass(frozen=True)
class CompileReport:
    """What was written, and what is known about it."""

    output: Path
    """The artifact's folder."""
    manifest: Manifest
    framework: str
    """What the right answers came from."""
    verified: tuple[str, ...]
    """The variants that were run here, and answered as the network does."""
    unverified: dict[str, str]
    """The other variants, and why this machine cannot run them."""
    blind: tuple[str, ...] = ()
    """Outputs whose right answers were the same for all inputs, so that they show less of the network."""
    layers: dict[str, list[LayerRecord]] = field(default_factory=dict)
    """What each function of a variant's code does; empty in a report from another process."""
    whole: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many sums of products int8 code does in whole numbers, and how many there are, by variant."""
    texts: dict[str, str] = field(default_factory=dict)
    """How far the texts that int8 code writes are those of the framework, in words, by variant."""
    dumped: Path | None = None
    unplanned: dict[str, str] = field(default_factory=dict)
    """The targets whose code has no plan for some batch size, and what no plan can say."""
    one_row: bool = False
    """Whether rows go through one by one, as the network fixes its batch at 1."""
    notes: tuple[str, ...] = ()
    """What was assumed for the user, a line each."""
    weights_bytes: int = 0
    """What the network's weights take as it was imported, before they are packed for a target."""
    seconds: float = 0.0

    @property
    def parity(self) -> Parity | None:
        """The manifest's own figures."""
        return self.manifest.parity

    @property
    def errors(self) -> dict[str, float]:
        """The largest absolute error of each output, `PROGRAM.OUTPUT` where there are several programs; empty where
        nothing could be verified.
        """
        if self.parity is None:
            return {}
        several = len(self.parity.programs) > 1
        return {
            f"{program}.{output}" if several else output: error
            for program, found in self.parity.programs.items()
            for output, error in found.max_abs_error.items()
        }

    @property
    def size_bytes(self) -> int:
        """What the artifact takes on disk, but for its manifest."""
        return sum(record.size for record in self.manifest.files.values())

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what was written, and how far it is from the framework."""
        from ovenbird_runtime.console.html import element, joined, table

        facts = [
            ("artifact", self.output),
            ("size", f"{self.size_bytes / 1e6:.1f} MB"),
            ("took", f"{self.seconds:.1f} s"),
        ]
        facts += [("verified", f"{name}, against {self.framework}") for name in self.verified]
        facts += [("not verified", f"{name}: {why}") for name, why in self.unverified.items()]
        facts += [("note", note) for note in self.notes]
        errors = table(("output", "largest error"), [(name, f"{error:.1e}") for name, error in self.errors.items()])
        random = self.manifest.model.weights.random
        loud = element("div", "RANDOM WEIGHTS: its answers mean nothing", style="color:#c00") if random else ""
        return joined((element("b", self.manifest.model.name), loud, table((), facts), errors if self.errors else ""))
