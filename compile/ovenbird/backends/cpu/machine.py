"""What a schedule needs to know of the machine: lanes, registers, caches, cores; and how wide a block of channels is.

Example: AVX-512 gives `Machine(vector_bytes=64, registers=32, l2_bytes=1 << 20, cores=2)`, whose `lanes("float32")` are
16. AVX2 with the same packed weights has 8 lanes in blocks of 16: LLVM makes two instructions of what is one vector of
16 in a schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ovenbird.operators.anchors import Arithmetic, size_bytes
from ovenbird.operators.bfloat16.numbers import is_bfloat16
from ovenbird.targets import TargetSpec
from ovenbird_runtime.tensors.arrays import Array

DotKind = Literal["vnni", "narrow", "pairs", "usdot", "sdot", "plain", "words", "bf16", "bfdot", "bf16-plain"]
"""How four products of 8-bit numbers, or two of bfloat16, are added up (`passes.quantized.emit_dots`)."""


@dataclass(frozen=True)
class Machine:
    """The part of a CPU target that decides tile sizes. Sizes in bytes.

    `block_lanes`: channels of a block where that is more than one vector of float32; 0 where it is one.
    `memory_bytes_per_cycle`: for all cores together, 0 where it was not measured.
    `half_weights`: whether weights may be stored as float16 (`storage.py`).
    `adds_narrow`: whether an instruction adds two products of 8-bit numbers in 16 bits.
    `bfloat16`: how products of bfloat16 are added up, "" where floats are multiplied as float32. `rounds_weights`: of
    all weights, which are rounded; otherwise only of those that are bfloat16 as they come.
    """

    vector_bytes: int
    registers: int
    l1_bytes: int
    l2_bytes: int
    cores: int
    memory_bytes_per_cycle: int = 0
    block_lanes: int = 0
    dot: DotKind = "plain"
    half_weights: bool = False
    adds_narrow: bool = False
    bfloat16: DotKind | Literal[""] = ""
    rounds_weights: bool = True

    def dot_of(self, arithmetic: Arithmetic) -> DotKind:
        """Return how sums of a kind are added up: a cheaper way where pairs of products fit in 16 bits."""
        if arithmetic.accumulator == "float32" and self.bfloat16:
            return self.bfloat16
        return "narrow" if self.adds_narrow and arithmetic.narrow else self.dot

    def step_registers(self, arithmetic: Arithmetic) -> tuple[int, int]:
        """Return how many registers hold a vector of weights in one step, and how many all vectors share: the data, and
        the ones that sums in 16 bits are multiplied by.
        """
        kind = self.dot_of(arithmetic) if arithmetic.taps > 1 else None
        return {"pairs": (2, 2), "narrow": (1, 2)}.get(kind or "", (1, 1))

    @property
    def multiplies_words(self) -> bool:
        """Return whether depthwise products are cheapest as pairs of 16-bit numbers: those of x86."""
        return self.dot in ("pairs", "vnni")

    @property
    def packs_levels(self) -> bool:
        """Return whether instructions round floats and pack them to levels of which a vector holds whole blocks: those
        of x86.
        """
        return self.dot in ("pairs", "vnni") and self.vector_bytes % self.block == 0

    @property
    def level_shift(self) -> int:
        """Return what is subtracted from levels in sums of products: an instruction of signed numbers wants them so."""
        return 128 if self.dot == "sdot" else 0

    def lanes(self, dtype: str) -> int:
        """Return how many values of a dtype fill a vector."""
        return max(self.vector_bytes // size_bytes(dtype), 1)

    @property
    def block(self) -> int:
        """Channels that lie side by side in a blocked image and in packed weights."""
        return self.block_lanes or self.lanes("float32")

    def parts(self, dtype: str) -> int:
        """Return the vectors, and so registers, that hold one block of a dtype."""
        return -(-self.block // self.lanes(dtype))


def machine_of(target: TargetSpec, block: int = 0) -> Machine:
    """Return what the schedules need to know of a CPU target whose blocks hold `block` channels (0: one vector)."""
    vector_bytes = max(target.vector_bits // 8, size_bytes("float32"))
    lanes = vector_bytes // size_bytes("float32")
    return Machine(
        block_lanes=block if block % lanes == 0 else 0,
        vector_bytes=vector_bytes,
        registers=target.registers,
        l1_bytes=target.l1d_bytes,
        l2_bytes=target.l2_bytes,
        cores=target.cores,
        memory_bytes_per_cycle=target.memory_bytes_per_cycle,
        dot=dot_of(target),
        adds_narrow=dot_of(target) == "pairs" and bool({"ssse3", "avx2", "avx512bw"} & set(target.features)),
    )


def widens_halves(target: TargetSpec) -> bool:
    """Return whether the target has an instruction that makes float32 of float16."""
    return target.arch == "aarch64" or "f16c" in target.features


def dot_of(target: TargetSpec) -> DotKind:
    """Return how the target adds up products of 8-bit numbers, the same sums whichever it is."""
    if target.arch == "aarch64":
        return "usdot" if "i8mm" in target.features else "sdot" if "asimddp" in target.features else "plain"
    wide = target.vector_bits == 512
    if ("avx512_vnni" if wide else "avx_vnni") in target.features:
        return "vnni"
    return "pairs" if not wide or "avx512bw" in target.features else "plain"


def multiplies_bfloat16(machine: Machine, weight: Array) -> bool:
    """Return whether a layer by these weights, float32, multiplies bfloat16."""
    return bool(machine.bfloat16) and (machine.rounds_weights or is_bfloat16(weight))


def rounds_all(machine: Machine) -> bool:
    """Return whether all products are of bfloat16, those of two activations, too."""
    return bool(machine.bfloat16) and machine.rounds_weights


def bfloat16_of(target: TargetSpec) -> DotKind | Literal[""]:
    """Return the target's instruction that adds two products of bfloat16 to a float32; "" where it has none."""
    if target.arch == "aarch64":
        return "bfdot" if "bf16" in target.features else ""
    return "bf16" if "avx512_bf16" in target.features and target.vector_bits == 512 else ""
