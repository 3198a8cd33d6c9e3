"""A model of several programs, as a file of the user's or a built-in model defines it.

    def captioner():                                      # ovenbird compile nets/mine.py:captioner
        return Programs(
            {"encode": ProgramPart(encoder, (pictures,), pipeline), "step": ProgramPart(step, examples)},
            states={"keys": KeptState("float32", (6, 12, 40, 64), 2, (Use("step", "keys"),), (Use("step", "new"),))},
            loop=TextLoop(once=("encode",), step="step", token="token", position="position", logits="logits", ...),
            files={"vocabulary.txt": Path("vocab.txt")},
        )

Each part is a `torch.nn.Module` whose inputs have the names of its `forward`, and whose outputs those of the dict that
it returns. Parts may share modules: weights that are equal are stored once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird_runtime.manifest.generation import KeptState, TextLoop
from ovenbird_runtime.manifest.steps import Pipeline

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ProgramPart:
    """One program: a module, and inputs that it accepts, whose first dimension is the batch.

    Give several rows that differ, of tokens above all: verification draws from them.
    """

    module: nn.Module
    examples: Any
    pipeline: Pipeline = ()
    """How a picture becomes its input, for the one that takes pictures."""
    batch_sizes: tuple[int, ...] = ()
    """Those with code of their own; none: those that `--batch-sizes` asks for."""


@dataclass(frozen=True)
class Programs:
    """Programs by name, what stays between their calls, and the loop that runs them."""

    parts: Mapping[str, ProgramPart]
    states: Mapping[str, KeptState] = field(default_factory=dict)
    loop: TextLoop | None = None
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    """Files of the artifact, such as the vocabulary, by their names there: their bytes, or where they lie."""
    licence: str = "as the network given"
