"""Do all engines compute the same? Otherwise their times are not compared.

worst = check_agreement("ort", reference, outputs)      # root mean square of errors, as a share of the output's spread

The rule and its limits are those of `compile` (`ovenbird_runtime.manifest.agreement`), by the precision of all engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ovenbird.errors import OutputsDisagree
from ovenbird_runtime.manifest.agreement import LIMITS, Precision, compare


def check_agreement(
    engine: str, reference: Mapping[str, Any], found: Mapping[str, Any], precision: Precision = "f32"
) -> float:
    """Compare outputs by position; return the largest `rms` of them. Raises OutputsDisagree."""
    if len(found) != len(reference):
        raise OutputsDisagree(f"{engine} gives {len(found)} outputs, the network has {len(reference)}")
    worst = 0.0
    for (name, right), given in zip(reference.items(), found.values(), strict=True):
        # engines may give whole numbers of another width
        difference = compare(given.astype(right.dtype), right, LIMITS[precision])
        if difference.fault:
            raise OutputsDisagree(f"{engine} differs from the network: {name} {difference.fault}; its time is no time")
        worst = max(worst, difference.rms)
    return worst
