"""The values of a straight-line program, and the calls that make them.

A `Tensor` is a place in memory; a `TensorView` is one look at it, with a shape of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ovenbird_runtime.manifest.fields import ITEM_BYTES, Dtype
from ovenbird_runtime.tensors.arrays import Array

Place = Literal["arena", "input", "weight", "constant"]


@dataclass(eq=False)
class Tensor:
    """Memory for one value; `index` counts within its place, and says nothing of the arena's."""

    place: Place
    nbytes: int
    index: int = 0
    written: bool = False


@dataclass(frozen=True)
class TensorView:
    """A tensor as a kernel sees it. Reshapes are other views of one tensor."""

    tensor: Tensor
    dtype: Dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return ITEM_BYTES[self.dtype] * math.prod(self.shape)


@dataclass(frozen=True)
class KernelCall:
    """A kernel's name, what it reads and what it writes."""

    kernel: str
    reads: tuple[TensorView, ...]
    writes: tuple[TensorView, ...]


@dataclass
class StraightLine:
    """A program: its calls in order, and what of it is the answer."""

    calls: list[KernelCall] = field(default_factory=list)
    outputs: tuple[TensorView, ...] = ()
    constants: list[Array] = field(default_factory=list)
