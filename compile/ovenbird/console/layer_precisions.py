"""What an artifact says of its layers' precisions, for `ovenbird inspect`.

for line in mixture_lines(calibration_of(open_artifact(Path("artifacts/resnet50")))): ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ovenbird.limits import MAX_EVIDENCE_BYTES
from ovenbird.quantize.evidence import CALIBRATION
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.errors import FileChanged, ManifestInvalid, one_line
from ovenbird_runtime.manifest.schema import parse


def calibration_of(artifact: Artifact) -> dict[str, Any] | None:
    """Return what int8 code was calibrated on and how each layer fared; None where nothing was calibrated.

    Raises FileChanged where the file is not the manifest's, or is no such document.
    """
    if CALIBRATION not in artifact.manifest.files:
        return None
    try:
        found: dict[str, Any] = parse(artifact.read(CALIBRATION, MAX_EVIDENCE_BYTES), CALIBRATION)
    except ManifestInvalid as error:
        raise FileChanged(f"{CALIBRATION}: {error}: compile the artifact again") from None
    return found


def mixture_lines(calibration: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a line for each layer of code that `--precision auto` made, and a sum. Raises FileChanged."""
    if calibration is None or "mixture" not in calibration:
        return
    try:
        mixture, layers = calibration["mixture"], calibration["layers"]
        count = Counter(layer["precision"] for layer in layers)
        floats = f"{count['f32']} of {len(layers)} layers f32" + (f", {count['bf16']} bf16" if count["bf16"] else "")
        yield (
            f"precision  {floats}; time saved {mixture['saved']:.0%}, all int8 "
            f"{mixture['saved_int8']:.0%}; answers expected to change {mixture['expected']:.2%}, "
            f"all int8 {mixture['expected_int8']:.2%}"
        )
        yield f"           {'layer':64} {'':4} {'time':>6} {'saved':>6} {'noise':>8}  why"
        for layer in layers:
            name, why = one_line(str(layer["layer"])), one_line(str(layer["why"]))
            share, saved, noise = f"{layer['time']:.1%}", f"{layer['saved']:.1%}", f"{layer['answers_db']:.1f} dB"
            yield f"           {name:64} {layer['precision']:4} {share:>6} {saved:>6} {noise:>8}  {why}"
    except (LookupError, TypeError, ValueError, AttributeError):
        raise FileChanged(f"{CALIBRATION} is no table of layers: compile the artifact again") from None
