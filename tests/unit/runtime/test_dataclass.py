"""The dataclass decorator, held to Python's own."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import field
from typing import Any

import pytest

from ovenbird_runtime.dataclass import dataclass

Decorator = Callable[..., Any]


def classes_of(decorator: Decorator) -> dict[str, Any]:
    """Return classes of all kinds that the package has, made by a decorator."""

    @decorator(frozen=True)
    class Point:
        """A class with a default, a factory, a field that is not compared and one that is worked out."""

        x: int
        y: float = 0.5
        names: dict[str, int] = field(default_factory=dict)
        note: str | None = field(default=None, compare=False, repr=False)
        total: float = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "total", self.x + self.y)

    @decorator(frozen=True)
    class Deep(Point):
        """A class that inherits and overrides."""

        y: float = 2.0
        z: int = 3

    @decorator(frozen=True, kw_only=True)
    class Named:
        """Keywords alone."""

        last: int = 1
        first: int

    @decorator
    class Open:
        """One that may be changed."""

        x: int
        parts: list[int] = field(default_factory=list)

    @decorator(eq=False)
    class Same:
        """Equal to itself alone."""

        x: int

    @decorator(frozen=True)
    class Empty:
        """Nothing within."""

    found = (Point, Deep, Named, Open, Same, Empty)
    for one in found:
        one.__qualname__ = one.__name__
    return {one.__name__: one for one in found}


OURS, PYTHONS = classes_of(dataclass), classes_of(dataclasses.dataclass)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Point", (1,), {}),
    ("Point", (1, 2.5), {"note": "seen"}),
    ("Point", (), {"x": 1, "names": {"a": 1}}),
    ("Deep", (1,), {}),
    ("Deep", (1, 2.0, {}, "note", 9), {}),
    ("Named", (), {"first": 2}),
    ("Open", (1,), {}),
    ("Same", (1,), {}),
    ("Empty", (), {}),
]
WRONG_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Point", (), {}),
    ("Point", (1, 2, {}, "n", 5), {}),
    ("Point", (1,), {"x": 1}),
    ("Point", (1,), {"total": 1}),
    ("Point", (1,), {"unknown": 1}),
    ("Named", (1,), {}),
    ("Named", (), {}),
    ("Empty", (1,), {}),
]


@pytest.mark.parametrize(("name", "args", "given"), CALLS)
def test_objects_are_as_python_s(name: str, args: tuple[Any, ...], given: dict[str, Any]) -> None:
    one, two = OURS[name](*args, **given), PYTHONS[name](*args, **given)
    assert vars(one) == vars(two)
    assert dataclasses.asdict(one) == dataclasses.asdict(two)
    assert [each.name for each in dataclasses.fields(one)] == [each.name for each in dataclasses.fields(two)]
    if name != "Same":
        assert repr(one) == repr(two)
    assert (one == OURS[name](*args, **given)) == (two == PYTHONS[name](*args, **given))
    assert one != two
    assert vars(copy.deepcopy(one)) == vars(one)
    assert vars(dataclasses.replace(one)) == vars(one)


@pytest.mark.parametrize(("name", "args", "given"), WRONG_CALLS)
def test_wrong_arguments_are_refused(name: str, args: tuple[Any, ...], given: dict[str, Any]) -> None:
    for classes in (OURS, PYTHONS):
        with pytest.raises(TypeError):
            classes[name](*args, **given)


@pytest.mark.parametrize("name", OURS)
def test_signatures_and_hashes_are_python_s(name: str) -> None:
    assert str(inspect.signature(OURS[name])) == str(inspect.signature(PYTHONS[name]))
    assert (OURS[name].__hash__ is None) == (PYTHONS[name].__hash__ is None)
    assert OURS[name].__match_args__ == PYTHONS[name].__match_args__


def test_equal_objects_have_one_hash_and_others_another() -> None:
    make = OURS["Named"]
    assert len({make(first=1), make(first=1), make(first=2)}) == 2


def test_what_is_not_compared_does_not_count() -> None:
    assert OURS["Point"](1, note="a") == OURS["Point"](1, note="b")
    assert OURS["Point"](1) != OURS["Point"](2)
    assert OURS["Deep"](1, 0.5) != OURS["Point"](1)


def test_frozen_objects_cannot_be_changed() -> None:
    point, free = OURS["Point"](1), OURS["Open"](1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    free.x = 2
    assert (point.x, free.x) == (1, 2)


def test_factories_make_one_object_each() -> None:
    one, two = OURS["Open"](1), OURS["Open"](1)
    one.parts.append(1)
    assert two.parts == []


@dataclass(frozen=True)
class Kept:
    """One that pickle can find."""

    x: int
    names: dict[str, int] = field(default_factory=dict)


def test_objects_travel_by_pickle() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, {"a": 2}))) == Kept(1, {"a": 2})
