"""How well decoding overlaps with inference: `predict(jobs=1)` against the slower of the two alone, in turns.

    .venv/bin/python ci/steps/decode_pool.py artifacts/efficientnet-lite0 photos/*.jpg      # a quiet machine, two cores

One thread each. Prints milliseconds an image (least of the rounds), and the slower one's time over that of both
together: 1.00 is perfect overlap. Exit code 1 below `--least`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

import ovenbird_runtime
from ovenbird_runtime.predicting.predict import choose_pipeline, image_input
from ovenbird_runtime.preprocess.images import open_pixels

PORTION = 8


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description="Time decoding, inference, and both overlapped.")
    parser.add_argument("artifact")
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", type=float, default=0.0, help="share below which the exit code is 1")
    options = parser.parse_args()
    photos = options.photos * -(-64 // len(options.photos))
    photos = photos[: len(photos) // PORTION * PORTION]
    with ovenbird_runtime.load(options.artifact, threads=1) as model:
        _, pipeline = choose_pipeline(model.manifest, None)
        spec = image_input(model.manifest, pipeline)
        rows = {spec.name: np.zeros(spec.with_batch(PORTION), np.float32)}
        ways: dict[str, Callable[[], object]] = {
            "decode": lambda: [model.preprocessor.apply(pipeline, open_pixels(photo)) for photo in photos],
            "inference": lambda: [model.run(rows) for _ in range(len(photos) // PORTION)],
            "one after the other": lambda: model.predict(photos),
            "overlapped": lambda: model.predict(photos, jobs=1),
        }
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(options.rounds):
            for name, way in ways.items():
                begun = time.perf_counter()
                way()
                least[name] = min(least[name], (time.perf_counter() - begun) / len(photos) * 1e3)
    for name, ms in least.items():
        print(f"{name:20} {ms:8.2f} ms an image")
    share = max(least["decode"], least["inference"]) / least["overlapped"]
    print(f"{'share':20} {share:8.2f}")
    return 0 if share >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
