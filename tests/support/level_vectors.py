"""Conformance vectors of 8-bit levels: what becomes of floats and of sums, to the bit (docs/explanation/precision.md).

    PYTHONPATH=tests python tests/support/level_vectors.py conformance/levels

Each operation here is one of float32, rounded once; constants are computed in float64 and rounded once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
SEED = 2
F32 = np.float32


def level_of(value: Array, low: float, high: float, zero: int) -> Array:
    """Return float32 in units of a level as levels: ties to even, held in the range, counted from zero."""
    low, high = max(low, -zero), min(high, 255 - zero)
    return (np.clip(np.rint(value), low, high) + zero).astype(int)


def quantize_case(rule: str, scale: float, zero: int, values: list[float]) -> dict[str, Any]:
    """Return floats and their levels."""
    array, step = np.array(values, F32), F32(scale)
    levels = level_of(array / step, -np.inf, np.inf, zero)
    return {
        "rule": rule, "scale": float(step), "zero": zero, "values": [float(one) for one in array],
        "levels": levels.tolist(),
    }  # fmt: skip


def sum_case(
    rule: str, data: dict[str, Any], weights: dict[str, Any], grid: tuple[float, int], **terms: Any
) -> dict[str, Any]:
    """Return levels [rows, products], weights [products, outputs], what is added, and the result's levels."""
    levels, scale, zero = data["levels"], float(F32(data["scale"])), data["zero"]
    scales, (scale_out, zero_out) = np.array(weights["scales"], F32).astype(float), grid
    scale_out = float(F32(scale_out))
    total = (np.array(levels, np.int64) - zero) @ np.array(weights["levels"], np.int64)
    value = total.astype(np.int32).astype(F32) * (scale * scales / scale_out).astype(F32)
    if terms.get("bias") is not None:
        value = value + (np.array(terms["bias"], F32).astype(float) / scale_out).astype(F32)
    residual = terms.get("residual")
    if residual is not None:
        share = F32(float(F32(residual["scale"])) / scale_out)
        value = value + (np.array(residual["levels"], np.int32) - residual["zero"]).astype(F32) * share
    low, high = terms.get("clip") or (None, None)
    held = (-np.inf if low is None else np.rint(low / scale_out), np.inf if high is None else np.rint(high / scale_out))
    found = level_of(value, *held, zero_out)
    return {
        "rule": rule, "data": data, "weights": {**weights, "scales": scales.tolist()},
        "bias": terms.get("bias"), "residual": residual, "clip": terms.get("clip"),
        "scale": scale_out, "zero": zero_out, "levels": found.tolist(),
    }  # fmt: skip


def random_case(rule: str, random: np.random.Generator, grid: tuple[float, int], **terms: Any) -> dict[str, Any]:
    """Return a case of random levels."""
    rows, products, outputs = 3, 20, 5
    data = {"scale": float(F32(0.021)), "zero": 117, "levels": random.integers(0, 256, (rows, products)).tolist()}
    scales = random.uniform(0.0005, 0.002, outputs).astype(F32).tolist()
    weights = {"scales": scales, "levels": random.integers(-127, 128, (products, outputs)).tolist()}
    if terms.pop("biased", False):
        terms["bias"] = random.normal(0, 1, outputs).astype(F32).tolist()
    if terms.pop("added", False):
        terms["residual"] = {
            "scale": float(F32(0.013)), "zero": 9, "levels": random.integers(0, 256, (rows, outputs)).tolist()
        }  # fmt: skip
    return sum_case(rule, data, weights, grid, **terms)


def separately_rounded_case() -> dict[str, Any]:
    """Return a case whose level is another one where the product is not rounded before the bias is added."""
    random = np.random.default_rng(SEED)
    for _ in range(100_000):
        total, scale = int(random.integers(1 << 14, 1 << 18)), F32(random.uniform(1e-4, 2e-4))
        product = F32(total) * scale
        bias = F32(np.floor(product) + 0.5) - product
        apart, joined = product + bias, float(total) * float(scale) + float(bias)
        if np.rint(apart) != np.rint(joined) and 0 < apart < 255:
            parts = [255 if total > 255 * 127 * (place + 1) else 0 for place in range(20)]
            rest = total - sum(parts) * 127
            if 0 <= rest <= 255 * 127:
                levels, weights = [*parts, rest // 127, rest % 127], [*[127] * 20, 127, 1]
                return sum_case(
                    "a product is rounded before the bias is added: no fused multiply-add",
                    {"scale": 1.0, "zero": 0, "levels": [levels]},
                    {"scales": [float(scale)], "levels": [[one] for one in weights]},
                    (1.0, 0),
                    bias=[float(bias)],
                )
    raise AssertionError("no such case was found")


def cases() -> dict[str, list[dict[str, Any]]]:
    """Return all cases."""
    random = np.random.default_rng(SEED)
    ties = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 126.5, 127.5]
    quantize = [
        quantize_case("ties go to the even number, before zero is added", 1.0, 3, ties),
        quantize_case("ties of another scale", 0.25, 128, [tie / 4 for tie in ties]),
        quantize_case("what is out of range is held at its ends", 0.1, 0, [-1.0, -0.0, 25.5, 25.6, 1e9, 1e30, -1e30]),
        quantize_case("the quotient is a division", 0.1, 7, [round(0.05 + 0.1 * at, 2) for at in range(24)]),
        quantize_case("numbers next to nothing", 1e-8, 0, [0.0, 1e-45, 4e-9, 6e-9, 2.55e-6]),
        quantize_case("random numbers", 0.0371, 101, random.normal(0, 3, 40).astype(F32).tolist()),
    ]
    halves = {"scale": 0.5, "zero": 1, "levels": [[at, 1] for at in range(12)]}
    one = {"scales": [1.0, 0.5], "levels": [[1, 1], [0, 0]]}
    full = {"scale": 1.0, "zero": 0, "levels": [[255] * 16, [0] * 16]}
    most = {"scales": [1e-4, 1e-4], "levels": [[127, -127]] * 16}
    sums = [
        sum_case("ties of sums go to the even number", halves, one, (1.0, 0)),
        sum_case("and so above a zero", halves, one, (1.0, 3)),
        sum_case("the largest sums of 16 bits and more", full, most, (0.3, 128)),
        random_case("random sums", random, (0.11, 128)),
        random_case("with a bias", random, (0.09, 60), biased=True),
        random_case("with a residual", random, (0.08, 128), biased=True, added=True),
        random_case("relu", random, (0.03, 0), biased=True, clip=[0.0, None]),
        random_case("clip: its bounds are rounded to levels", random, (0.05, 20), biased=True, clip=[0.0, 6.0]),
        separately_rounded_case(),
    ]
    return {"quantize": quantize, "sums": sums}


def main(folder: Path) -> None:
    """Write the vectors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps(cases(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
