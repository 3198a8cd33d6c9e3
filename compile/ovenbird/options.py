"""Options of a compile.

CompileOptions(targets=("host", "cuda-sm90"), batch_sizes=(1,))
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ovenbird.backends.optimisations import NOTHING, Without
from ovenbird.lowering.dumping import DumpKind
from ovenbird_runtime.manifest.agreement import Precision

DEFAULT_BATCHES = (1, 8)
DEFAULT_PICTURES = 64
DEFAULT_DISAGREEMENT = 0.01
"""The share of answers that `--precision auto` may change."""
RangeMethod = Literal["max", "percentile", "mse", "entropy"]
"""How a range follows from what was seen (`quantize.calibration.ranges`)."""
QuantizerName = Literal["own", "onnxruntime"]
"""Whose quantizer makes whole numbers of a network."""


@dataclass(frozen=True)
class CalibrationOptions:
    """What int8 is calibrated on: a folder of photographs or an .npz file (None: what comes with the compiler), how
    many of them at most, how ranges are chosen (None: as suits the source), and by whose quantizer.

    `mix_below`: layers stay in floats until no larger share of answers is expected to change; None: all are int8.
    `programs`: of a model of several, those that are int8; none: all.
    """

    source: Path | None = None
    size: int = DEFAULT_PICTURES
    method: RangeMethod | None = None
    mix_below: float | None = None
    quantizer: QuantizerName = "own"
    programs: tuple[str, ...] = ()

    @property
    def range_method(self) -> RangeMethod:
        """How ranges are chosen: views of two photographs do not show what others would be cut by. Others' quantizers
        take what they do by themselves.
        """
        return self.method or ("max" if self.source is None or self.quantizer != "own" else "mse")


@dataclass(frozen=True)
class CompileOptions:
    """Options of `ovenbird compile`.

    `tuning_records`: a folder, "none", or None for the ones that match. `tolerance`: the root mean square of errors,
    as a share of each output's own spread; None for what code of its precision is held to. `precisions`, `fast_math`:
    heeded by the targets whose backend has them (`backends.base`); there is a variant for each precision.
    `max_disagreement`: the share of photographs that code of low precision may answer otherwise; None: not asked.
    `without`: optimisations to leave out, of those that the backend has.
    """

    targets: tuple[str, ...] = ("host",)
    batch_sizes: tuple[int, ...] = DEFAULT_BATCHES
    tuning_records: str | None = None
    tolerance: float | None = None
    dump: tuple[DumpKind, ...] = ()
    precisions: tuple[Precision, ...] = ("f32",)
    fast_math: bool = False
    calibration: CalibrationOptions = CalibrationOptions()
    max_disagreement: float | None = None
    without: Without = NOTHING


DEFAULT_OPTIONS = CompileOptions()
