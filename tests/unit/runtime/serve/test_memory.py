"""The collector leaves alone what stays, and still finds what does not."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from ovenbird_runtime.serve.memory import set_objects_aside


class Node:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_full_collection_has_little_to_walk_through() -> None:
    before = len(gc.get_objects())
    set_objects_aside()
    assert gc.get_freeze_count() > before // 2
    assert len(gc.get_objects()) < before // 10


def test_cycles_that_were_set_aside_go_when_a_model_goes() -> None:
    node = Node()
    gone = weakref.ref(node)
    set_objects_aside()
    del node
    gc.collect()
    assert gone() is not None  # set aside: only the next call finds it
    set_objects_aside()
    assert gone() is None
