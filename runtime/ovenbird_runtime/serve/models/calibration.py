"""What each batch size costs on this machine, measured before a server takes work.

    costs = calibrate(model, settings)
    costs.table, costs.lanes              # {1: 15.6, 8: 118.2} in ms, and images side by side where that is better

Sizes and lanes take turns, round after round: a machine whose neighbours are busy is slower by a third in one second
than in the next, and what was measured in different seconds cannot be compared.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...engine.learning import Lanes
from ..memory import return_memory
from .batching import Costs

if TYPE_CHECKING:
    from ...model import Model
    from ..settings import Settings

_ROUNDS = 4
"""The first round pages code and weights in; of the others the best counts."""

_LANE_IMAGES = 8


def calibrate(model: Model, settings: Settings) -> Costs:
    """Run each size up to the largest batch allowed, and lanes, with zeros; leave the figures in `model.costs`.

    Raises EngineError.
    """
    smallest = min(model.costs)
    sizes = [size for size in sorted(model.costs) if size <= settings.max_batch or size == smallest]
    times: dict[int, list[float]] = {size: [] for size in sizes}
    lanes = settings.workers == 1 and all(spec.batched for spec in (*model.inputs, *model.outputs))
    for _ in range(_ROUNDS):
        for size in sizes:
            with only(model, size):
                times[size].append(_milliseconds(model, size))
        if lanes and model.lanes.count and model.lanes.cost is None:
            with only(model, smallest):
                _milliseconds(model, smallest * _LANE_IMAGES)
    model.costs.clear()
    found = {size: min(times[size]) for size in sizes}
    model.costs.update(found)
    costs = Costs(found, settings.max_batch, model.lanes if lanes else Lanes())
    if costs.lanes.count:  # the larger sizes will not be run: 160 MB of ResNet50's 8
        model.release_unused()
        return_memory()
    return costs


@contextlib.contextmanager
def only(model: Model, size: int) -> Iterator[None]:
    """Have batches composed of one size for a while."""
    before = dict(model.costs)
    model.costs.clear()
    model.costs[size] = before[size]
    try:
        yield
    finally:
        model.costs.clear()
        model.costs.update(before)


def _milliseconds(model: Model, images: int) -> float:
    arrays = {spec.name: np.zeros(spec.with_batch(images), spec.dtype) for spec in model.inputs}
    start = time.perf_counter()
    model.run_checked(images, arrays)
    return (time.perf_counter() - start) * 1000
