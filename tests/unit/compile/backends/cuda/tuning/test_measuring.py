"""A GPU candidate that crashes, asks for too much or computes something else is an outcome; the next is measured."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import tvm
from tvm import te
from tvm.s_tir import Schedule
from tvm.script import tirx as T

from ovenbird.backends.cuda.chip import chip_of
from ovenbird.backends.cuda.plans.plan import ThreadPlan
from ovenbird.backends.cuda.schedules import apply_schedule
from ovenbird.backends.cuda.tuning.measuring import GpuMeasurer
from ovenbird.backends.cuda.tuning.tuner import CudaTuner
from ovenbird.errors import NoCudaCompiler
from ovenbird.lowering.layers import LayerRecord
from ovenbird.measure.candidates import Builder
from ovenbird.measure.tasks import Argument, Task
from ovenbird.targets import load_target
from support.cuda_emulation import build_toolkit

SPEC = load_target("cuda-sm90")
SHAPE = (8, 400)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """A builder in the emulated GPU's environment, which the measurers of the tests are in too."""
    folder = tmp_path_factory.mktemp("toolkit")
    with pytest.MonkeyPatch.context() as patch:
        try:
            environment = build_toolkit(folder).environment()
        except NoCudaCompiler as error:
            pytest.skip(str(error))
        for name, value in environment.items():
            if os.environ.get(name) != value:
                patch.setenv(name, value)
        with Builder(SPEC, folder, processes=1, bench=CudaTuner.bench) as opened:
            yield opened


def scaled(factor: float, threads: int = 256) -> tvm.IRModule:
    """Each element times a factor, by blocks of so many threads."""
    data = te.placeholder(SHAPE, name="data")
    result = te.compute(SHAPE, lambda i, j: data[i, j] * factor, name="result")
    module = tvm.IRModule({"main": te.create_prim_func([data, result])})
    return apply_schedule(Schedule(module), chip_of(SPEC), ThreadPlan(threads)).mod


def aborting() -> tvm.IRModule:
    """A function of the same signature that ends its process."""

    @T.prim_func
    def main(data: T.Buffer((8, 400), "float32"), result: T.Buffer((8, 400), "float32")):
        T.evaluate(T.call_extern("int32", "abort"))

    return tvm.IRModule({"main": main.with_attr("global_symbol", "main")})


def library(builder: Builder, module: tvm.IRModule) -> Path:
    (built,) = builder.build([module])
    assert built.library is not None, built.error
    return built.library


@pytest.mark.slow
def test_bad_candidates_are_failures(builder: Builder) -> None:
    task = Task(
        0,
        scaled(2.0),
        LayerRecord("scaled", "elementwise", SHAPE, 0, {}),
        (Argument(SHAPE, "float32", False),),
        (Argument(SHAPE, "float32", False),),
    )
    default, wrong, other, crashing = (
        library(builder, module) for module in (scaled(2.0), scaled(3.0), scaled(2.0, 64), aborting())
    )
    with GpuMeasurer(SPEC, "emulated", CudaTuner.bench) as measurer:
        outcomes = measurer.measure(task, default, [crashing, wrong, default, other], rounds=1)
    assert {outcome.device for outcome in outcomes} == {"emulated"}
    crashed, different, *good = outcomes
    assert crashed.seconds is None
    assert "SIGABRT" in crashed.error
    assert different.seconds is None
    assert "wrong numbers" in different.error
    for outcome in good:
        assert outcome.seconds is not None, outcome.error
        assert outcome.seconds > 0


def test_what_the_chip_has_no_room_for_is_not_built(builder: Builder) -> None:
    (built,) = builder.build([scaled(2.0, threads=2048)])
    assert built.library is None
    assert built.error.startswith("building: BuildFailed: ")


@pytest.mark.slow
def test_a_launch_that_fails_ends_the_process_it_was_in(builder: Builder) -> None:
    """After an error a GPU's process is of no use: the next candidate gets another."""
    default = library(builder, scaled(2.0))
    # kernels that the driver cannot find: loading the code fails, as it does for another chip's
    missing = library(builder, scaled(2.0, 32))
    kernels = Path(os.environ["EMULATED_KERNELS"])
    newest = max(kernels.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.unlink()
    task = Task(
        0,
        scaled(2.0),
        LayerRecord("scaled", "elementwise", SHAPE, 0, {}),
        (Argument(SHAPE, "float32", False),),
        (Argument(SHAPE, "float32", False),),
    )
    with GpuMeasurer(SPEC, "emulated", CudaTuner.bench) as measurer:
        failed, good = measurer.measure(task, default, [missing, default], rounds=1)
        assert measurer._worker.generation == 2
    assert failed.seconds is None
    assert failed.error.startswith("running: ")
    assert good.seconds is not None
