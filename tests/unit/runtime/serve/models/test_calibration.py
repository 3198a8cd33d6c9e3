"""What a server measures before it takes work, on a real artifact of batch sizes 1 and 4."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime.serve.models.calibration import calibrate, only
from ovenbird_runtime.serve.settings import Settings
from support.tiny_artifact import tiny_artifact


@pytest.fixture
def settings() -> Callable[..., Settings]:
    return lambda **options: Settings(artifacts=(), **options)


def test_every_size_is_measured_and_lanes_are(settings: Callable[..., Settings]) -> None:
    with ovenbird_runtime.load(tiny_artifact(), threads=2) as model:
        sizes = set(model.costs)
        assert len(sizes) > 1
        costs = calibrate(model, settings())[()]
        assert set(costs.table) == sizes
        assert all(0 < cost < 1000 for cost in costs.table.values())
        assert model.costs == costs.table
        assert model.lanes.count == 0 or model.lanes.cost is not None
        model.run({"image": np.zeros((7, 3, 32, 32), np.float32)})


def test_what_is_beyond_the_largest_batch_is_left_out(settings: Callable[..., Settings]) -> None:
    with ovenbird_runtime.load(tiny_artifact(), threads=1) as model:
        costs = calibrate(model, settings(max_batch=1))[()]
        assert set(costs.table) == set(model.costs) == {min(costs.table)}
        assert costs.lanes.count == 0  # one thread has nothing to share


def test_costs_are_unknown_until_they_are_measured(settings: Callable[..., Settings]) -> None:
    with ovenbird_runtime.load(tiny_artifact(), threads=1) as model:
        assert model.costs == {1: None, 4: None}
        assert all(0 < cost < 1e5 for cost in calibrate(model, settings())[()].table.values())


def test_workers_that_are_told_apart_have_no_lanes(settings: Callable[..., Settings]) -> None:
    with ovenbird_runtime.load(tiny_artifact(), threads=1, workers=2) as model:
        assert calibrate(model, settings(workers=2))[()].lanes.count == 0


def test_sizes_come_back(settings: Callable[..., Settings]) -> None:
    with ovenbird_runtime.load(tiny_artifact(), threads=1) as model:
        before = dict(model.costs)
        with only(model.costs, max(before)):
            assert set(model.costs) == {max(before)}
        assert model.costs == before
