"""Rounds the weights of an output together, so that their errors cancel on what the layer multiplies.

    levels = round_jointly(weight, scale, rows)      # int8 [G, O, K] from float32 [G, O, K], [G, O], [G, n, K]

Nearest levels err least weight by weight; what counts is the sum of products. With the covariance H = R'R of the rows,
an output's error is |R (w - s q)|: each weight in turn takes the level nearest to what the errors of those before it
leave to it (Babai's nearest plane, which is GPTQ: Frantar et al. 2023, https://arxiv.org/abs/2210.17323). Means have no
part in it, the bias takes them. The fewer rows for so many weights, the more H is drawn to its diagonal. Pairs stay
within what `weights.hold_pairs` says, where weights are to be narrow.

Whether that holds for pictures that it was not done on is seen on a quarter of the rows, of other pictures; where it
does not, the answer is None: the nearest levels are better.
"""

from __future__ import annotations

import numpy as np

from ovenbird.operators.quantized.packing import PAIR
from ovenbird.quantize.rounding.weights import MOST, hold_pairs
from ovenbird_runtime.tensors.arrays import Array

HELD = 4
"""Of so many rows, one is left out to judge by."""
LEAST_DAMPING = 0.02
MIN_ROWS = 64
BLOCK = 64
"""Weights between two products of matrices."""


def round_jointly(weight: Array, scale: Array, rows: Array, window: int | None = None) -> Array | None:
    """Return the levels; None where they are no better than the nearest on rows that were left out.

    `window`: pairs are held; so many weights of one input lie side by side in a row. None: they are not.
    """
    count, products = rows.shape[1:]
    cut = count - count // HELD
    if cut < MIN_ROWS or products > 8 * cut:
        return None
    shown = rows[:, :cut] - rows[:, :cut].mean(axis=1, keepdims=True)
    held = rows[:, cut:] - rows[:, :cut].mean(axis=1, keepdims=True)
    covariance = shown.swapaxes(1, 2) @ shown / cut
    diagonal = np.diagonal(covariance, axis1=1, axis2=2)
    damping = max(LEAST_DAMPING, products / cut) * diagonal.mean(axis=1)
    if not (np.isfinite(covariance).all() and (damping > 0).all()):
        return None
    order = np.argsort(diagonal.mean(axis=0), kind="stable")
    covariance = np.ascontiguousarray(covariance[:, order][:, :, order])
    places = np.arange(products)
    covariance[:, places, places] += damping[:, None]
    try:
        root = np.linalg.cholesky(covariance).swapaxes(1, 2)
    except np.linalg.LinAlgError:
        return None
    root = root / np.diagonal(root, axis1=1, axis2=2)[..., None]
    step = scale[..., None].astype(np.float32)
    found = np.empty_like(weight)
    rounded = nearest = np.clip(np.rint(weight / step), -MOST, MOST)
    partners = np.full(products, -1)
    if window is not None:
        nearest = hold_pairs(rounded.reshape(*weight.shape[:2], -1, window), 2).reshape(weight.shape)
        partners = partners_of(order, window)
    most = np.where(nearest == rounded, MOST, np.abs(nearest))
    found[..., order] = _nearest_plane(weight[..., order], most[..., order], step, root, partners)
    errors = [
        np.square(held @ (weight - each * step).swapaxes(1, 2)).sum(dtype=np.float64) for each in (found, nearest)
    ]
    return found.astype(np.int8) if errors[0] < errors[1] else None


def partners_of(order: Array, window: int) -> Array:
    """Return for each place of an order of weights where the next input's, its pair, stands; -1: nowhere."""
    places = np.full(len(order) + 1, -1)
    places[order] = np.arange(len(order))
    other = (order // window ^ 1) * window + order % window
    found: Array = places[np.minimum(other, len(order))]
    return found


def _nearest_plane(weight: Array, most: Array, step: Array, root: Array, partners: Array) -> Array:
    """Return levels [G, O, K], from the last weight to the first; `root`: upper triangular with ones, [G, K, K].

    `most`: the largest level of each; `partners`: which other a weight adds up with, -1 for none.
    """
    levels, error = np.empty_like(weight), np.zeros_like(weight)
    for stop in range(weight.shape[2], 0, -BLOCK):
        start = max(0, stop - BLOCK)
        wanted = weight[..., start:stop] + error[..., stop:] @ root[:, start:stop, stop:].swapaxes(1, 2)
        for at in range(stop - 1, start - 1, -1):
            here = slice(at, at + 1)
            left = (
                wanted[..., at - start : at - start + 1] + error[..., at + 1 : stop] @ root[:, at, at + 1 : stop, None]
            )
            low, high = -most[..., here], most[..., here]
            if partners[at] > at:
                other = levels[..., partners[at], None]
                low, high = np.maximum(low, -PAIR - np.minimum(other, 0)), np.minimum(high, PAIR - np.maximum(other, 0))
            levels[..., here] = np.clip(np.rint(left / step), low, high)
            error[..., here] = weight[..., here] - levels[..., here] * step
    return levels
