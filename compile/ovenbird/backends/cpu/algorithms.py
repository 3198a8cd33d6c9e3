"""Which algorithm computes a convolution: direct, or Winograd with tiles of 2x2 or 4x4 outputs.

By default an estimate in cycles decides; `tune` measures and its choice, kept with the records, comes first.

Example: `choose_algorithm(ConvolutionShape(1, 64, 64, 56, 56), machine)` is "winograd4".
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from ovenbird.backends.cpu.machine import Machine
from ovenbird.operators.conv2d import Window
from ovenbird.operators.layout import blocks
from ovenbird_runtime.tensors.arrays import Array

Algorithm = Literal["direct", "winograd2", "winograd4"]
ALGORITHMS: tuple[Algorithm, ...] = ("direct", "winograd2", "winograd4")

DIRECT_EFFICIENCY, PRODUCT_EFFICIENCY = 0.9, 0.75
"""Shares of the multiply-add peak that the register tiles reach, measured on Zen 4 and Zen 5."""

TRANSFORM_OPERATIONS = {2: (48, 40), 4: (320, 250)}
"""Vector operations to transform one tile of one block of channels, and to transform it back."""

GUESSED_BYTES_PER_CYCLE = 10.0
"""Bytes per cycle that all cores together read from memory, where the machine was not measured; weights do not stay in
cache between two inferences. Cascade Lake reads 8 to 9, two cores of Zen 3 that share a server's memory 4 to 6; at 10
the choices for ResNet50 that were measured on AVX-512 chips stay."""


@dataclass(frozen=True)
class ConvolutionShape:
    """A 3x3 convolution of stride 1; `height` and `width` are the output's."""

    batch: int
    inputs: int
    outputs: int
    height: int
    width: int
    dtype: str = "float32"
    """Of the operands."""

    @property
    def key(self) -> str:
        """The name under which a measured choice is kept."""
        return f"conv3x3 {self.dtype} n{self.batch} {self.inputs}->{self.outputs} {self.height}x{self.width}"


class Decisions:
    """What was chosen for the convolutions of a network at one image size, for its other sizes to follow: weights that
    are packed for one algorithm are no use to another.
    """

    def __init__(self, shared: dict[tuple[bytes, int], Algorithm]) -> None:
        """Begin a walk; `shared` holds what walks before it chose, by kernel and how often it had occurred."""
        self._shared = shared
        self._seen: Counter[bytes] = Counter()

    def keep(self, kernel: Array, algorithm: Algorithm) -> Algorithm:
        """Return what an earlier walk chose for the next convolution with this kernel; the first keeps `algorithm`."""
        digest = hashlib.sha256(kernel.tobytes()).digest()
        self._seen[digest] += 1
        return self._shared.setdefault((digest, self._seen[digest]), algorithm)


def allows_winograd(window: Window, groups: int) -> bool:
    """Return True for a dense 3x3 window of stride 1."""
    return window.kernel == (3, 3) and window.stride == (1, 1) and window.dilation == (1, 1) and groups == 1


def estimate_cycles(shape: ConvolutionShape, algorithm: Algorithm, machine: Machine) -> float:
    """Estimate the cycles: arithmetic on all cores, plus the weights' way from memory where that is not hidden."""
    block = machine.block
    in_blocks, out_blocks = blocks(shape.inputs, block), blocks(shape.outputs, block)
    steps = in_blocks * block * out_blocks  # multiply-adds of a block for one output position and tap
    rate = 2 * machine.cores / machine.parts("float32")
    memory = machine.memory_bytes_per_cycle or GUESSED_BYTES_PER_CYCLE
    if algorithm == "direct":
        work = shape.batch * shape.height * shape.width * 9 * steps
        return work / (rate * DIRECT_EFFICIENCY) + 9 * steps * block * 4 / memory / 2
    m = int(algorithm[-1])
    tiles = shape.batch * -(-shape.height // m) * -(-shape.width // m)
    points = (m + 2) ** 2
    product = tiles * points * steps / (rate * PRODUCT_EFFICIENCY)
    forward, back = TRANSFORM_OPERATIONS[m]
    transforms = tiles * (in_blocks * forward + out_blocks * back) * machine.parts("float32") / machine.cores
    streamed = points * steps * block * 4 / memory  # prefetched while the product runs
    return max(product, streamed) + transforms


def choose_algorithm(
    shape: ConvolutionShape, machine: Machine, measured: dict[str, Algorithm] | None = None
) -> Algorithm:
    """Return the measured choice for this shape if there is one, else the one with the least estimated cycles."""
    if measured and shape.key in measured:
        return measured[shape.key]
    if min(shape.inputs, shape.outputs) < machine.block:
        return "direct"
    return min(ALGORITHMS, key=lambda algorithm: estimate_cycles(shape, algorithm, machine))
