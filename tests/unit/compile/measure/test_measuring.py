"""A candidate that crashes, hangs, or gives wrong numbers is an outcome; the one after it is measured all the same."""

from pathlib import Path

import numpy as np
import pytest

from ovenbird.measure import measuring
from ovenbird.measure.arithmetic import multiply_add_module
from ovenbird.measure.candidates import Builder
from ovenbird.measure.jobs import difference
from ovenbird.measure.measuring import LocalMeasurer
from ovenbird.measure.tasks import Task
from ovenbird.measure.worker import JobFailed, Worker, WorkerLost
from ovenbird.targets import TargetSpec

from ..conftest import calling, library


def test_bad_candidates_are_failures(
    builder: Builder, measurer: LocalMeasurer, task: Task, default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "RUN_LIMIT_S", 6.0)
    crashing, hanging, wrong = (library(builder, calling(task, name)) for name in ("abort", "pause", "getpid"))
    crashed, hung, different, good = measurer.measure(task, default, [crashing, hanging, wrong, default], rounds=1)
    assert crashed.seconds is None
    assert "SIGABRT" in crashed.error
    assert hung.seconds is None
    assert "no answer within 6 s" in hung.error
    assert different.seconds is None
    assert "wrong numbers" in different.error
    assert good.seconds is not None
    assert 0 < good.seconds < 0.1


def test_a_candidate_that_does_not_compile_is_a_failure(builder: Builder, task: Task) -> None:
    built = builder.build([calling(task, "no_such_function_anywhere")])[0]
    if built.library is None:  # the linker of some systems refuses unknown symbols in a library, others only dlopen
        assert built.error.startswith("building: ")


def test_the_limit_is_a_plausible_figure(builder: Builder, measurer: LocalMeasurer, spec: TargetSpec) -> None:
    lanes = spec.vector_bits // 32
    limit = measurer.limit(library(builder, multiply_add_module(lanes, spec.cores)), lanes, spec.cores)
    assert 1e9 < limit < spec.cores * 64 * lanes * 6e9


def test_a_worker_is_replaced() -> None:
    worker = Worker()
    try:
        with pytest.raises(JobFailed, match="AttributeError"):
            worker.request({"do": "nothing_known"}, 10)
        assert worker.generation == 1
        worker.close()
        with pytest.raises(JobFailed):
            worker.request({"do": "nothing_known"}, 10)
        assert worker.generation == 2
        with pytest.raises(WorkerLost, match="no answer within 0 s"):
            worker.request({"do": "nothing_known"}, 0)
    finally:
        worker.close()


def test_a_worker_has_tvm_and_no_torch() -> None:
    worker = Worker()
    try:
        worker.ensure()
        assert worker._process is not None
        maps = Path(f"/proc/{worker._process.pid}/maps").read_text()
        assert "libtvm" in maps
        assert "libtorch" not in maps
    finally:
        worker.close()


def test_rounding_is_no_difference_and_nan_is() -> None:
    right = np.array([1.0, -2.0, 4.0], "float32")
    assert difference(right * np.float32(1 + 1e-6), right) == ""
    assert "wrong numbers" in difference(right * np.float32(1.01), right)
    assert "wrong numbers" in difference(np.full(3, np.nan, "float32"), right)
    assert difference(np.array([1, 2]), np.array([1, 3])) == "wrong integers"
