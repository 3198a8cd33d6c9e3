"""A tiny convolution as a tuning task, and libraries that crash, hang, or give wrong numbers, all of them real."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tvm
from tvm import tirx

from ovenbird.backends.cpu.algorithms import ConvolutionShape
from ovenbird.backends.cpu.machine import machine_of
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.backends.cpu.tuning.algorithms import convolution
from ovenbird.backends.cpu.tuning.tuner import CpuTuner
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.measure.candidates import Builder
from ovenbird.measure.measuring import LocalMeasurer
from ovenbird.measure.tasks import Task, extract_tasks
from ovenbird.targets import TargetSpec, load_target

SHAPE = ConvolutionShape(batch=1, inputs=16, outputs=32, height=12, width=12)


@pytest.fixture(scope="session")
def spec() -> TargetSpec:
    return load_target("host")


@pytest.fixture(scope="session")
def tasks(spec: TargetSpec) -> list[Task]:
    """All tasks of a network of one 3x3 convolution, bias and ReLU, computed directly."""
    return extract_tasks(
        lower_networks({EntryKey(): convolution(SHAPE)}, machine_of(spec), {SHAPE.key: "direct"}), [EntryKey()]
    )


@pytest.fixture(scope="session")
def task(tasks: list[Task]) -> Task:
    return max(tasks, key=lambda one: one.layer.flops)


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuning")


@pytest.fixture(scope="session")
def builder(spec: TargetSpec, work: Path) -> Iterator[Builder]:
    with Builder(spec, work, processes=1, bench=CpuTuner.bench) as opened:
        yield opened


@pytest.fixture(scope="session")
def measurer(spec: TargetSpec) -> Iterator[LocalMeasurer]:
    with LocalMeasurer(spec) as opened:
        yield opened


@pytest.fixture(scope="session")
def default(builder: Builder, task: Task, spec: TargetSpec) -> Path:
    """The library of the default schedule."""
    return library(builder, tvm.IRModule({"main": schedule_function(task.module["main"], machine_of(spec))}))


def library(builder: Builder, module: tvm.IRModule) -> Path:
    built = builder.build([module])[0]
    assert built.library is not None, built.error
    return built.library


def calling(task: Task, function: str) -> tvm.IRModule:
    """A function of the task's signature that does nothing but call the C library's `function`."""
    body = tirx.Evaluate(tirx.call_extern("int32", function))
    return tvm.IRModule({"main": task.module["main"].with_body(body).with_attr("global_symbol", "main")})
