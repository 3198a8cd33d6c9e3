"""Who runs the next task: threads are real, the costs are given."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest

from ovenbird_runtime.engine.lanes import TaskQueue, lanes_for
from ovenbird_runtime.engine.learning import LearnedCosts

pytestmark = pytest.mark.alone


@dataclass
class Task:
    """A task of one image (`narrow`) or of more."""

    name: str
    narrow: bool = True
    crowded: bool = False


class Crew:
    """A wide worker and two lanes that sleep as long as they are asked to."""

    def __init__(self, wide_ms: float = 20.0, lane_ms: float = 30.0) -> None:
        self.costs = LearnedCosts({1: wide_ms, 8: 8 * wide_ms}, lanes=2)
        self.costs.lane = lane_ms
        self.queue: TaskQueue[Task] = TaskQueue(2, lambda task: self.costs)
        self.queue.admit_lanes()
        self.log: list[tuple[str, str]] = []
        self.busy: set[str] = set()
        self.mixed = False
        workers = [("wide", True), ("lane 1", False), ("lane 2", False)]
        self.threads = [threading.Thread(target=self._work, args=worker) for worker in workers]
        for thread in self.threads:
            thread.start()

    def _work(self, name: str, wide: bool) -> None:
        while (task := self.queue.take(wide)) is not None:
            self.busy.add(name)
            self.mixed |= "wide" in self.busy and len(self.busy) > 1
            self.log.append((task.name, name))
            cost = self.costs.single if wide else self.costs.lane
            time.sleep((cost or 0.0) / 1e3)
            self.busy.remove(name)
            self.queue.done(task, wide)

    def close(self) -> None:
        self.queue.close()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()
        assert not self.mixed, "a lane ran while the wide worker did"


def names(count: int) -> list[Task]:
    return [Task(str(i)) for i in range(count)]


def test_one_image_has_all_threads() -> None:
    crew = Crew()
    for task in names(4):
        crew.queue.put([task])
        time.sleep(0.05)
    crew.close()
    assert crew.log == [(str(i), "wide") for i in range(4)]


def test_images_of_a_crowd_share_them() -> None:
    crew = Crew()
    crew.queue.put(names(8))
    crew.close()
    assert sorted(name for name, _ in crew.log) == [str(i) for i in range(8)]
    assert {worker for _, worker in crew.log} == {"lane 1", "lane 2"}


def test_the_odd_last_one_has_all_threads() -> None:
    """Three images: 30 ms for two, then 20 with all threads, not 30."""
    crew = Crew(wide_ms=100.0, lane_ms=150.0)
    crew.queue.put(names(3))
    crew.close()
    assert crew.log[-1] == ("2", "wide")


def test_one_of_a_crowd_goes_to_a_lane_at_once() -> None:
    crew = Crew()
    crew.queue.put([Task("a", crowded=True)])
    crew.close()
    assert crew.log[0][1] != "wide"


def test_large_batches_have_all_threads_and_their_turn() -> None:
    crew = Crew()
    crew.queue.put([*names(4), Task("large", narrow=False), *(Task(f"late {i}") for i in range(4))])
    crew.close()
    order = [name for name, _ in crew.log]
    assert dict(crew.log)["large"] == "wide"
    assert order.index("large") == 4


def test_lanes_that_do_not_pay_stay_idle() -> None:
    crew = Crew(wide_ms=10.0, lane_ms=25.0)
    crew.queue.put(names(4))
    crew.close()
    assert {worker for _, worker in crew.log} == {"wide"}


@pytest.mark.parametrize(("threads", "workers", "lanes"), [(1, 1, 0), (2, 1, 2), (3, 1, 3), (16, 1, 4), (2, 2, 0)])
def test_lanes_share_the_threads(threads: int, workers: int, lanes: int) -> None:
    assert lanes_for(threads, workers) == lanes
