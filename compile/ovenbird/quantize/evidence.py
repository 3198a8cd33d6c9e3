"""What an artifact keeps of how its whole numbers came about: `evidence/calibration.json`.

    evidence = CalibrationEvidence.of(pictures, "mse", narrow=False)
    evidence.summary()                   # what the manifest repeats of it
    evidence.document()                  # the file, but for how the code then answered

Every quantizer, ours or another's, says the same of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ovenbird.options import RangeMethod
    from ovenbird.quantize.calibration.pictures import Pictures

CALIBRATION = "evidence/calibration.json"
OURS = "ovenbird"


@dataclass(frozen=True)
class CalibrationEvidence:
    """Who quantized, on what, by which method, and what is known of each layer.

    `files`: sha256 by name. `held_out`: names of the photographs that calibration did not see. `narrow_weights`: pairs
    of weights fit in 16 bits. `tensors`: how many have a range of their own; None where the quantizer does not say.
    `mixture`: the choice of `--precision auto`. `programs`: the precision of each program, of a model of several;
    `trials`: what `auto` tried of them.
    """

    pictures: int
    origin: str
    method: RangeMethod
    narrow_weights: bool
    files: Mapping[str, str]
    held_out: Sequence[str]
    quantizer: str
    tensors: int | None = None
    layers: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    mixture: Mapping[str, Any] | None = None
    programs: Mapping[str, str] | None = None
    trials: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @staticmethod
    def of(pictures: Pictures, method: RangeMethod, narrow: bool, quantizer: str = OURS) -> CalibrationEvidence:
        """Return the evidence of what was seen."""
        held = [path.name for path in pictures.held]
        return CalibrationEvidence(len(pictures.rows), pictures.origin, method, narrow, pictures.files, held, quantizer)

    def summary(self) -> dict[str, Any]:
        """Return as JSON values what the manifest repeats."""
        found = {"pictures": self.pictures, "from": self.origin, "method": self.method}
        return {**found, "programs": dict(self.programs)} if self.programs is not None else found

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        trials = [dict(one) for one in self.trials] or None
        optional = {"tensors": self.tensors, "mixture": self.mixture, "trials": trials}
        return {
            **self.summary(),
            "quantizer": self.quantizer,
            "narrow_weights": self.narrow_weights,
            "files": dict(self.files),
            "held_out": list(self.held_out),
            "layers": [dict(layer) for layer in self.layers],
            **{key: value for key, value in optional.items() if value is not None},
        }
