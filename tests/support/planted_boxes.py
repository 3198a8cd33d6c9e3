"""Candidates that a toy detector answers with, on an image of 64x48: what a runtime does with each differs."""

from __future__ import annotations

import numpy as np

LABELS = ("dog", "cat", "bird")
# left, top, right, bottom, score, class
PLANTED = np.array(
    [
        (8, 12, 40, 36, 0.9, 0),
        (9, 12, 41, 36, 0.8, 0),  # overlaps the first, of its class
        (8, 12, 40, 37, 0.7, 1),  # overlaps the first, of another class
        (44, 14, 60, 34, 0.7, 1),  # the same score as the one before
        (2, 10, 6, 16, 0.3, 2),
        (50, 30, 58, 36, 0.2, 2),  # below the score that is asked for
        (0, 0, 64, 48, -1.0, 2),
        (-30, -30, -10, -10, 0.95, 2),  # outside of everything
        (20, 20, 20, 30, 0.95, 2),  # no width
        (10, 10, 20, 20, 0.95, -1),  # padding
    ],
    np.float32,
)
