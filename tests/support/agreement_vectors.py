"""Writes the vectors of agreement: what every runtime must say of two answers (`conformance/README.md`).

PYTHONPATH=tests python tests/support/agreement_vectors.py conformance
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird_runtime.manifest.agreement import LIMITS, compare
from ovenbird_runtime.tensors.tensors import npz_bytes, read_tensors

Case = dict[str, Any]
Pair = tuple[str, Any, Any]
NAN, INF = float("nan"), float("inf")
NUMBERS = ("max_abs", "rms", "peak", "mismatches")


def pairs() -> Iterator[Pair]:
    """Yield what a pair is for, the answers given, and the right ones."""
    random = np.random.default_rng(11)
    logits = random.standard_normal((6, 10)).astype(np.float32)
    noise = random.standard_normal(logits.shape).astype(np.float32)
    for share in (1e-6, 1e-5, 1e-4, 1e-2):
        yield f"logits, off by {share}", logits + np.float32(share) * noise, logits
    yield "equal", logits, logits
    yield "tiny numbers", logits * np.float32(1e-30) * (1 + noise * np.float32(1e-6)), logits * np.float32(1e-30)
    huge = logits.astype(np.float64) * 1e300
    yield "numbers near the largest", huge * (1 + 1e-7 * noise), huge
    yield "half precision", (logits + np.float32(1e-3) * noise).astype(np.float16), logits.astype(np.float16)
    apart = logits * np.logspace(0, -6, 10, dtype=np.float32)
    yield "channels of all sizes", apart + np.float32(1e-6) * noise, apart
    constant = np.concatenate([logits[:, :-1], np.full((6, 1), 3000, np.float32)], 1)
    yield "a constant among others", constant + np.float32(3e-5) * noise, constant
    still = np.full((6, 10), 2.5, np.float32) + noise * np.float32(1e-7)
    yield "answers that only round", still + np.float32(1e-7) * noise, still
    loud = logits * np.array([1, 1, 1, 1, 1, 200], np.float32)[:, None]
    yield "a loud row", loud + np.float32(2e-3) * noise * (loud != logits), loud
    maps = (
        random.standard_normal((3, 4, 5, 6)).astype(np.float32) * np.array([1, 1e-3, 30, 0], np.float32)[:, None, None]
    )
    yield "maps", maps + np.float32(1e-4) * random.standard_normal(maps.shape).astype(np.float32), maps
    yield "one row", logits[:1] + np.float32(1e-6) * noise[:1], logits[:1]
    yield "one row of a constant", np.full((1, 5), 7.001, np.float32), np.full((1, 5), 7, np.float32)
    yield "a list", logits[:, 0] + np.float32(1e-6), logits[:, 0]
    yield "all zero", np.full((4, 3), 1e-7, np.float32), np.zeros((4, 3), np.float32)
    yield "all zero, off", np.full((4, 3), 1e-3, np.float32), np.zeros((4, 3), np.float32)
    yield "the same for all", np.repeat(logits[:1], 6, 0), logits
    yield "right ones that are the same", np.repeat(logits[:1], 6, 0), np.repeat(logits[:1], 6, 0)
    broken = logits.copy()
    broken[0, :3] = NAN, INF, -INF
    yield "not finite alike", broken + np.float32(1e-6) * noise, broken
    yield "not finite elsewhere", broken, logits
    yield "infinite the other way", -broken, broken
    places = random.integers(0, 9, (6, 200))
    wrong = places.copy()
    wrong[2, 5] += 1
    yield "whole numbers", wrong, places
    yield "whole numbers beyond float64", places + (1 << 60), places + (1 << 60) + (places == 3)
    levels = places.astype(np.uint8)
    yield "levels off by one", levels + (random.uniform(size=levels.shape) < 0.01).astype(np.uint8), levels
    yield "levels off by more", levels + 2 * (random.uniform(size=levels.shape) < 0.01).astype(np.uint8), levels
    yield "truth values", levels > 4, levels > 3
    yield "another shape", logits[:, :5], logits
    yield "another dtype", logits.astype(np.float64), logits
    yield "nothing", np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)


def said(given: Any, right: Any, precision: Any) -> Case:
    """Return what this runtime says."""
    found = compare(given, right, LIMITS[precision])
    return {name: getattr(found, name) for name in NUMBERS} | {"fault": found.fault}


def same(found: Case, right: Case) -> bool:
    """Return whether two say the same: numbers to nine digits, faults but for the numbers that they write."""
    words = [re.sub(r"[\d.e+-]+", "#", case["fault"]) for case in (found, right)]
    return words[0] == words[1] and all(
        abs(found[name] - right[name]) <= 1e-9 * abs(right[name]) for name in NUMBERS
    )  # fmt: skip


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    for place, (_, given, right) in enumerate(pairs()):
        arrays |= {f"given{place}": given, f"right{place}": right}
    (folder / "answers.npz").write_bytes(npz_bytes(arrays))
    kept, cases = read_tensors(folder / "answers.npz"), []
    for place, (what, _, _) in enumerate(pairs()):
        for precision in LIMITS:
            head = {"what": what, "given": f"given{place}", "right": f"right{place}", "precision": precision}
            cases.append(head | said(kept[f"given{place}"], kept[f"right{place}"], precision))
    (folder / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) / "agreement")
