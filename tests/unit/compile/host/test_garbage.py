"""What the collector of circles looks at during a compile."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from ovenbird.host.garbage import SELDOM, USUAL, look_seldom, only_new_garbage


class Circle:
    """An object that keeps itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_frozen() -> Iterator[None]:
    gc.unfreeze()
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_is_new_is_freed_and_what_was_there_is_later() -> None:
    old = weakref.ref(Circle())
    with only_new_garbage():
        new = weakref.ref(Circle())
        gc.collect()
        assert new() is None
        assert old() is not None
        assert gc.get_freeze_count()
    assert not gc.get_freeze_count()
    gc.collect()
    assert old() is None


def test_what_others_froze_stays_frozen_also_after_an_error() -> None:
    gc.freeze()
    with pytest.raises(KeyError), only_new_garbage():
        raise KeyError
    assert gc.get_freeze_count()


def test_it_searches_seldom_but_what_is_new() -> None:
    look_seldom()
    with only_new_garbage():
        assert gc.get_threshold() == USUAL
    assert gc.get_threshold() == SELDOM
