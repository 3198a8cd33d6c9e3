"""The framework's own answers: large rows apart, on several threads where the source allows, never too many at once."""

import threading
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from ovenbird.networks.network import Network
from ovenbird.verify import references
from ovenbird.verify.cases import Case
from ovenbird.verify.references import MOST_AT_ONCE, References, run_all
from ovenbird.verify.stored import LARGE_ROW
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightsInfo

WAIT_S = 60.0


class Doubling:
    """A source that answers with twice its input; `meanwhile` is called in each call."""

    framework = "numpy"

    def __init__(self, meanwhile: Callable[[int], Any], concurrent: bool, batched: bool = True) -> None:
        self.meanwhile, self.concurrent, self.batched = meanwhile, concurrent, batched

    def reference(self, inputs: list[Any]) -> list[Any]:
        self.meanwhile(len(inputs[0]))
        return [inputs[0] * 2 + (inputs[1] if len(inputs) > 1 else 0)]


def network(source: Doubling, shared: bool = False) -> Network:
    first: Any = "N" if source.batched else 4
    inputs = (TensorSpec("x", "float32", (first, 6)), *([TensorSpec("y", "float32", (6,))] if shared else []))
    outputs = (TensorSpec("z", "float32", (first, 6)),)
    return Network("rows", "1", "", WeightsInfo("random"), inputs, outputs, cast(Any, source))


def ignore(_rows: int) -> None:
    """Do nothing meanwhile."""


def on(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr(references.os, "sched_getaffinity", lambda _process: set(range(cores)))


def calls(count: int) -> list[dict[str, Any]]:
    return [{"x": np.full((1, 6), float(place), np.float32)} for place in range(count)]


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize(
    ("batched", "shared", "numbers"),
    [(True, False, LARGE_ROW // 4), (True, False, 6), (False, False, LARGE_ROW // 4), (True, True, LARGE_ROW // 4)],
)
def test_large_rows_are_run_apart(batched: bool, shared: bool, numbers: int, concurrent: bool) -> None:
    """What torch holds between layers grows with its batch; rows that share an input, or are no batch, stay as one."""
    sizes: list[int] = []
    net = network(Doubling(sizes.append, concurrent, batched), shared)
    x = np.arange(4 * numbers, dtype=np.float32).reshape(4, numbers)
    cases = [Case(name, {"x": x + add, **({"y": x[0]} if shared else {})}) for name, add in (("one", 0), ("two", 1))]
    found = References().right_answers(net, cases)
    for case in cases:
        assert np.array_equal(found[case.name]["z"], case.inputs["x"] * 2 + (x[0] if shared else 0))
    assert sizes == ([1] * 8 if batched and not shared and numbers > 6 else [4, 4])


@pytest.mark.parametrize("cores", [2, 3])
def test_rows_are_computed_at_once_where_the_source_allows(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    on(monkeypatch, cores)
    met = threading.Barrier(cores)
    net = network(Doubling(lambda _rows: met.wait(WAIT_S), concurrent=True))
    answers = list(run_all(net, calls(2 * cores)))
    assert [answer["z"][0, 0] for answer in answers] == [2.0 * place for place in range(2 * cores)]


@pytest.mark.parametrize(("concurrent", "cores"), [(False, 4), (True, 1)])
def test_rows_are_computed_one_after_the_other_elsewhere(
    monkeypatch: pytest.MonkeyPatch, concurrent: bool, cores: int
) -> None:
    on(monkeypatch, cores)
    threads: set[int] = set()
    net = network(Doubling(lambda _rows: threads.add(threading.get_ident()), concurrent))
    assert len(list(run_all(net, calls(5)))) == 5
    assert threads == {threading.get_ident()}


def test_no_more_are_begun_than_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, 64)
    begun: list[int] = []
    answers = run_all(network(Doubling(begun.append, concurrent=True)), calls(10))
    for taken, _ in enumerate(answers, start=1):
        assert len(begun) <= taken - 1 + MOST_AT_ONCE
    assert len(begun) == 10


def test_what_the_framework_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, 2)

    def fail(_rows: int) -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        list(run_all(network(Doubling(fail, concurrent=True)), calls(3)))
    assert list(run_all(network(Doubling(ignore, concurrent=True)), [])) == []


def test_a_case_is_answered_once_of_each_network() -> None:
    asked: list[int] = []
    net, other = (network(Doubling(asked.append, concurrent=False)) for _ in range(2))
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    known = References()
    first = known.right_answers(net, [Case("one", {"x": x})])
    again = known.right_answers(net, [Case("one", {"x": x}), Case("two", {"x": x[:2]}), Case("three", {"x": x + 1})])
    assert asked == [4, 2, 4]
    assert np.array_equal(first["one"]["z"], again["one"]["z"])
    assert np.array_equal(again["three"]["z"], 2 * x + 2)
    known.right_answers(net, [Case("one", {"x": x + 1})])
    known.right_answers(other, [Case("one", {"x": x})])
    assert asked == [4, 2, 4, 4, 4]
