"""Calls from many threads, right after `load`: each is answered, with its own answer.

The first calls of a model are the interesting ones: no batch size is known, no lane is started. So every case loads
anew, and what is right comes from another model, on one thread.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime.engine.reused_threads import ThreadJob
from ovenbird_runtime.errors import EngineLoadFailed
from ovenbird_runtime.model import Model

CALLERS = (2, 3, 4, 8, 16)
THREADS = (None, 1, 2, 4)
CALLS = 250
"""Of each case: 40 cases are 10,000 calls."""

IMAGES = [np.random.default_rng(seed).integers(0, 256, (48, 40, 3), np.uint8) for seed in range(7)]
BATCHES = [np.random.default_rng(9 + i).standard_normal((n, 3, 32, 32), np.float32) for i, n in enumerate((1, 1, 2, 9))]


def logits_of(model: Model, number: int) -> Any:
    return model.run({"image": BATCHES[number % len(BATCHES)]})["logits"]


def classes_of(model: Model, number: int) -> Any:
    return [(c.index, c.confidence) for c in model.predict(IMAGES[number % len(IMAGES)], top=3)[0].top]


ASKED = {"run": logits_of, "predict": classes_of}


@pytest.fixture(scope="module")
def expected(tiny: Path) -> Iterator[dict[str, list[Any]]]:
    with ovenbird_runtime.load(tiny, threads=1) as plain:
        yield {"run": [logits_of(plain, i) for i in range(4)], "predict": [classes_of(plain, i) for i in range(7)]}


@pytest.mark.timeout(120)  # a hang is what this test is for
@pytest.mark.parametrize(("callers", "threads", "asked"), [*itertools.product(CALLERS, THREADS, ASKED)])
def test_every_call_gets_its_own_answer(
    tiny: Path, expected: dict[str, list[Any]], callers: int, threads: int | None, asked: str
) -> None:
    with ovenbird_runtime.load(tiny, threads=threads) as model, ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(lambda number: ASKED[asked](model, number), range(CALLS)))
    right = expected[asked]
    for number, answer in enumerate(answers):
        np.testing.assert_allclose(answer, right[number % len(right)], rtol=1e-4, atol=1e-4)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("callers", "workers", "crowded"), [*itertools.product((1, 3, 8), (1, 2, 3), (False, True))])
def test_hints_and_workers_hold_nobody_up(
    tiny: Path, expected: dict[str, list[Any]], callers: int, workers: int, crowded: bool
) -> None:
    def ask(number: int) -> Any:
        batch = BATCHES[number % len(BATCHES)]
        return model.run_checked(len(batch), {"image": batch}, crowded if number % 3 else not crowded)["logits"]

    with (
        ovenbird_runtime.load(tiny, threads=2, workers=workers) as model,
        ThreadPoolExecutor(callers) as pool,
    ):
        for number, answer in enumerate(pool.map(ask, range(100))):
            np.testing.assert_allclose(answer, expected["run"][number % len(BATCHES)], rtol=1e-4, atol=1e-4)


def test_answers_differ(expected: dict[str, list[Any]]) -> None:
    """Somebody else's answer would have been noticed."""
    one, other = expected["run"][:2]
    assert np.abs(one - other).max() > 0.01
    assert len({tuple(map(tuple, np.round(answer, 3))) for answer in expected["predict"]}) == len(IMAGES)


@pytest.mark.timeout(60)
def test_a_crowd_is_answered_though_lanes_cannot_be_started(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def none_left(self: ThreadJob, work: Any, threads: int) -> None:
        started.append(threads)
        if len(started) > 1:
            raise RuntimeError("can't start new thread")
        whole(self, work, threads)

    whole = ThreadJob.__init__
    monkeypatch.setattr(ThreadJob, "__init__", none_left)
    with ovenbird_runtime.load(tiny, threads=2) as model, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: logits_of(model, 3).shape, range(20)))
        assert model.lanes.count == 0
    assert set(answers) == {(9, 5)}
    assert len(started) == 2, "lanes were wanted, once"


def test_no_thread_left_is_a_typed_error(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(self: ThreadJob, work: Any, threads: int) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadJob, "__init__", none_left)
    with pytest.raises(EngineLoadFailed, match="a thread cannot be started"):
        ovenbird_runtime.load(tiny)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit(0)", "model.close()", "del model; gc.collect()"])
def test_a_forked_child_ends_at_once(tiny: Path, ending: str) -> None:
    """It has none of the workers, and one of them may have held the queue's lock when it was forked."""
    code = f"""
import gc, os, sys, threading, numpy, ovenbird_runtime
model = ovenbird_runtime.load(sys.argv[1], threads=2)
image = numpy.zeros((4, 3, 32, 32), "float32")
model.run({{"image": image}})
ready, done, lock = threading.Event(), threading.Event(), model._engine._tasks._changed
def hold():
    with lock:
        ready.set()
        done.wait()
holder = threading.Thread(target=hold)
holder.start()
ready.wait()
child = os.fork()
if not child:
    {ending}
    sys.exit(0)
_, status = os.waitpid(child, 0)
done.set()
holder.join()
print(os.waitstatus_to_exitcode(status), len(model.run({{"image": image}})["logits"]))
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tiny],
        capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "PYTHONPATH": "runtime"},
    )  # fmt: skip
    assert (result.stdout, result.stderr) == ("0 4\n", "")
