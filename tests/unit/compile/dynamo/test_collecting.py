"""While Dynamo traces, the garbage collector leaves alone what was there before; afterwards nothing is set aside."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import fx, nn

from ovenbird.dynamo.collecting import look_at_new_alone


@pytest.fixture(autouse=True)
def nothing_aside() -> Iterator[None]:
    gc.unfreeze()
    torch.compiler.reset()
    look_at_new_alone()
    yield
    gc.unfreeze()


def aside_in_backend(fails: bool = False) -> int:
    """Return how many objects are set aside when a graph has been traced."""
    found: list[int] = []

    def backend(graph: fx.GraphModule, _: Any) -> Callable[..., Any]:
        found.append(gc.get_freeze_count())
        if fails:
            raise ValueError("no")
        return graph.forward

    with torch.no_grad():
        torch.compile(nn.Linear(3, 4), backend=backend)(torch.zeros(2, 3))
    return found[0]


def test_what_was_there_is_set_aside_and_put_back() -> None:
    assert aside_in_backend() > 10_000
    assert gc.get_freeze_count() == 0


def test_a_backend_that_fails_leaves_nothing_aside() -> None:
    with pytest.raises(Exception, match="no"):
        aside_in_backend(fails=True)
    assert gc.get_freeze_count() == 0


def test_what_a_program_set_aside_itself_stays_there() -> None:
    gc.freeze()
    aside_in_backend()
    assert gc.get_freeze_count() > 10_000


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        assert aside_in_backend() == 0
        assert not gc.isenabled()
    finally:
        gc.enable()
