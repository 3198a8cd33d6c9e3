"""Time how long the runtime takes from a network's candidates to the boxes of a photograph.

    python ci/steps/boxes.py                    # 10,000 candidates of several kinds, milliseconds
    python ci/steps/boxes.py --most 2.0         # exit code 1 where one takes longer

Needs numpy only. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.options import PredictOptions
from ovenbird_runtime.postprocess.boxes import BOXES
from ovenbird_runtime.postprocess.kind import Asked
from ovenbird_runtime.tensors.frame import Frame

SIDE, RUNS = 640, 40


def corners(rng: np.random.Generator, kind: str, count: int) -> np.ndarray:
    """Return left and top, width and height of candidates."""
    if kind == "spread":
        return np.concatenate([rng.uniform(0, 600, (count, 2)), rng.uniform(5, 60, (count, 2))], axis=1)
    if kind == "large":
        return np.concatenate([rng.uniform(0, 300, (count, 2)), rng.uniform(10, 300, (count, 2))], axis=1)
    if kind == "objects":  # as detectors see them: hundreds of candidates around each of sixty
        centres = rng.uniform(50, 600, (60, 2))[rng.integers(0, 60, count)]
        return np.concatenate([centres + rng.normal(0, 6, (count, 2)), rng.uniform(60, 90, (count, 2))], axis=1)
    return np.concatenate([rng.normal(100, 3, (count, 2)), rng.uniform(100, 110, (count, 2))], axis=1)


def main() -> int:
    """Print a line a case; return the exit code."""
    parser = argparse.ArgumentParser(description="Time the runtime's boxes.")
    parser.add_argument("--candidates", type=int, default=10_000, help="An image [10000].")
    parser.add_argument("--boxes", type=int, default=100, help="At most in the answer [100].")
    parser.add_argument("--most", type=float, help="Exit with 1 where a case takes more milliseconds.")
    given = parser.parse_args()
    frame, slow = Frame.of((1280, 960)).resized((SIDE, SIDE)), False
    for kind in ("spread", "large", "objects", "one place"):
        for classes in (1, 80):
            rng = np.random.default_rng(0)
            boxes = corners(rng, kind, given.candidates)
            boxes[:, 2:] += boxes[:, :2]
            outputs = {
                "boxes": boxes.astype(np.float32)[None],
                "scores": rng.uniform(0.2, 1, (1, given.candidates)).astype(np.float32),
                "classes": rng.integers(0, classes, (1, given.candidates)).astype(np.int32),
            }
            asked = Asked(PredictOptions(max_boxes=given.boxes), {}, (frame,))
            times = []
            for _ in range(RUNS):
                start = time.perf_counter()
                [answer] = BOXES.answers(Boxes(), outputs, asked)
                times.append((time.perf_counter() - start) * 1000)
            slow = slow or (given.most is not None and min(times) > given.most)
            took = f"min {min(times):.2f} ms, median {np.median(times):.2f}"
            print(f"{kind}, {classes} classes: {len(answer)} boxes, {took}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
