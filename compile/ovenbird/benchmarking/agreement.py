"""Do all engines compute the same? Otherwise their times are not compared.

worst = check_agreement("ort", reference, outputs)      # largest error as a share of the output's scale
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ovenbird.errors import OutputsDisagree

TOLERANCE = 1e-3
"""Largest difference from the framework's outputs, as a share of the largest magnitude of that output."""
TINY = 1e-30


def check_agreement(engine: str, reference: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """Compare outputs by position; give max |found - reference| / max |reference|. Raises OutputsDisagree."""
    if len(found) != len(reference):
        raise OutputsDisagree(f"{engine} gives {len(found)} outputs, the network has {len(reference)}")
    worst = 0.0
    for (name, right), given in zip(reference.items(), found.values(), strict=True):
        if given.shape != right.shape:
            raise OutputsDisagree(
                f"{engine} gives {name} as {list(given.shape)}, the network gives {list(right.shape)}"
            )
        if not np.all(np.isfinite(given)):
            raise OutputsDisagree(f"{engine} gives NaN or infinity in {name}")
        scale = max(float(np.max(np.abs(right), initial=0.0)), TINY)
        error = float(np.max(np.abs(given.astype(np.float64) - right.astype(np.float64)), initial=0.0)) / scale
        if not error <= TOLERANCE:
            raise OutputsDisagree(
                f"{engine} differs from the network by {error:.2g} of the scale of {name}, limit {TOLERANCE:g}; "
                "its time is not compared"
            )
        worst = max(worst, error)
    return worst
