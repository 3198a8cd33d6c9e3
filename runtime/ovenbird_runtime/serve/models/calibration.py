"""What each batch size costs on this machine, measured before a server takes work.

    costs = calibrate(model, settings)[()]      # by image size
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
from ...manifest.program import InputSize
from ..memory import return_memory
from .batching import Costs

if TYPE_CHECKING:
    from ...model import Model
    from ..settings import Settings

_ROUNDS = 4
"""The first round pages code and weights in; of the others the best counts."""

_LANE_IMAGES = 8


def calibrate(model: Model, settings: Settings) -> dict[InputSize, Costs]:
    """Run each batch size up to the largest allowed, and lanes, with zeros, at each image size; leave the figures in
    `model.costs_of`.

    Raises EngineError.
    """
    return {size: _calibrate(model, settings, size) for size in model.sizes}


def _calibrate(model: Model, settings: Settings, image: InputSize) -> Costs:
    known = model.costs_of(image)
    smallest = min(known)
    sizes = [size for size in sorted(known) if size <= settings.max_batch or size == smallest]
    times: dict[int, list[float]] = {size: [] for size in sizes}
    lanes = settings.workers == 1 and all(spec.batched for spec in (*model.inputs, *model.outputs))
    for _ in range(_ROUNDS):
        for size in sizes:
            with only(known, size):
                times[size].append(_milliseconds(model, size, image))
        if lanes and model.lanes_of(image).count and model.lanes_of(image).cost is None:
            with only(known, smallest):
                _milliseconds(model, smallest * _LANE_IMAGES, image)
    known.clear()
    found = {size: min(times[size]) for size in sizes}
    known.update(found)
    costs = Costs(found, settings.max_batch, model.lanes_of(image) if lanes else Lanes())
    if costs.lanes.count:  # the larger sizes will not be run: 160 MB of ResNet50's 8
        model.release_unused()
        return_memory()
    return costs


@contextlib.contextmanager
def only(costs: dict[int, float | None], size: int) -> Iterator[None]:
    """Have batches composed of one size for a while; `costs` are the model's."""
    before = dict(costs)
    costs.clear()
    costs[size] = before[size]
    try:
        yield
    finally:
        costs.clear()
        costs.update(before)


def _milliseconds(model: Model, images: int, size: InputSize) -> float:
    specs = model.manifest.program().at(size).inputs
    arrays = {spec.name: np.zeros(spec.with_batch(images), spec.dtype) for spec in specs}
    start = time.perf_counter()
    model.run_checked(images, arrays)
    return (time.perf_counter() - start) * 1000
