"""What the compiler knows about a built-in captioner: how it is built, and what it is made of.

CaptionerRecipe("git_base_textcaps", "...", "MIT", "microsoft/git-base-textcaps", load)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ovenbird.networks.programs import Programs
    from ovenbird_runtime.manifest.manifest import WeightsInfo


@dataclass(frozen=True)
class Captioner:
    """A captioner's programs, with their weights in them."""

    programs: Programs
    weights: WeightsInfo


@dataclass(frozen=True)
class CaptionerRecipe:
    """One built-in captioner; `load` builds it with what `--weights` says."""

    name: str
    summary: str
    licence: str
    detail: str
    """Whose weights fit it."""
    load: Callable[[str | None], Any]
    """Returns a Captioner. Raises ExtraMissing, WeightsError, UsageError."""
