"""The pixels that `image.resize2d` takes as the nearest ones, which are not always those of the framework.

takes(places, 2)        # of 2 pixels made to len(places): whether the operator takes the same

The operator divides whole multiples exactly and adds 1e-5 before it rounds down elsewhere
(`topi.image.resize.get_closest_index`); frameworks round a product of float32, which can lie below a whole number: of 2
pixels made to 82 torch takes the first 42 times.
"""

from __future__ import annotations

import numpy as np

EPSILON = np.float32(1e-5)


def takes(places: np.ndarray, before: int) -> bool:
    """Return whether nearest, asymmetric, floor takes the pixel `places[i]` of `before` for each pixel i."""
    after = len(places)
    if after % before == 0:
        return bool(np.array_equal(places, np.arange(after) // (after // before)))
    pixel, step = np.arange(after, dtype=np.float32), np.float32(before) / np.float32(after)
    apart = np.floor(pixel * step + EPSILON)
    fused = np.floor((pixel.astype(np.float64) * step + EPSILON).astype(np.float32))  # as multiply-add rounds once
    return bool(np.array_equal(places, apart) and np.array_equal(places, fused))
