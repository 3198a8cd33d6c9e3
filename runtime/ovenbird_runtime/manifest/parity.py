"""How far compiled code was from the framework it came from, by program and variant; written when it was compiled.

parity.programs["main"].variants["host"].outputs["logits"].rms
parity.limits_for(target.variant, target.precision)     # what its code is held to by `selftest` and the server
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from ..dataclass import dataclass
from ..limits import MAX_IO_TENSORS, MAX_PROGRAMS, MAX_VARIANTS
from .agreement import LIMITS, Limits, Precision, Share
from .fields import FOLDER_TEXT, NAME_TEXT, PROGRAM_TEXT
from .program import MAIN
from .schema import Count, Range


def variant_name(target: str, precision: Precision) -> str:
    """Return the name of a variant and of its folder in `targets/`: the target's, the precision after it unless f32."""
    return target if precision == "f32" else f"{target}-{precision}"


@dataclass(frozen=True)
class Measured:
    """How far an output of one variant's code was from the framework's (`agreement.Difference`)."""

    rms: Share
    peak: Share
    mismatches: Share
    dependence: Share
    blind: bool
    """Whether the framework's own answers were the same for all inputs."""


@dataclass(frozen=True)
class VariantParity:
    """What one variant's code is held to, and what was measured; nothing where it could not run."""

    precision: Precision
    limits: Limits
    outputs: Annotated[dict[str, Measured], Count(0, MAX_IO_TENSORS, NAME_TEXT)] = field(default_factory=dict)


@dataclass(frozen=True)
class ProgramParity:
    """How far one program was from the framework's: the worst of all variants, and each of them by its name."""

    max_abs_error: Annotated[dict[str, Annotated[float, Range(0, 1e30)]], Count(0, MAX_IO_TENSORS, NAME_TEXT)]
    tolerance: Annotated[float, Range(0, 1e30)]
    """The largest `rms` in the limits of `variants`."""
    top1_agreement: Annotated[float, Range(0, 1)] | None
    """Share of the images whose most probable class is the framework's; None where no output is a
    classification.
    """
    variants: Annotated[dict[str, VariantParity], Count(0, MAX_VARIANTS, FOLDER_TEXT)] = field(default_factory=dict)
    boxes: Annotated[int, Range(0, 2**31)] | None = None
    """The framework's boxes above the model's own score, before any are suppressed; None where it answers with none."""
    boxes_agreement: Annotated[float, Range(0, 1)] | None = None
    """Share of them that the compiled model gives, too: the same class, an intersection over union of 0.99, a score
    within 0.001.
    """


@dataclass(frozen=True)
class Parity:
    """How far the compiled model was from the framework it came from, and on how many inputs."""

    images: Annotated[int, Range(0, 2**31)]
    random_inputs: Annotated[int, Range(0, 2**31)]
    programs: Annotated[dict[str, ProgramParity], Count(0, MAX_PROGRAMS, PROGRAM_TEXT)]

    def limits_for(self, variant: str, precision: Precision, program: str = MAIN) -> Limits:
        """Return what a variant's code is held to: what the manifest says, or else what its precision is."""
        found = self.programs.get(program)
        held = found.variants.get(variant) if found is not None else None
        return held.limits if held is not None else LIMITS[precision]
