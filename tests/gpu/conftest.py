"""What the tests on a real GPU share: its target, and commands in processes that import what this one does."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from ovenbird.targets import TargetSpec, load_target, target_folders
from ovenbird_runtime.errors import DeviceUnavailable
from ovenbird_runtime.machine.cuda import Gpu, probe_gpu

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    """This machine's first GPU."""
    try:
        return probe_gpu(0)
    except DeviceUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def spec(gpu: Gpu) -> TargetSpec:
    """The target for the latest chip up to this machine's."""
    level = 10 * gpu.compute[0] + gpu.compute[1]
    chips = {name: load_target(name) for name in target_folders() if name.startswith("cuda-")}
    levels = {name: int(chip.chip.removeprefix("sm_")) for name, chip in chips.items()}
    fitting = [name for name, own in levels.items() if own <= level]
    if not fitting:
        pytest.skip(f"{gpu.name} is sm_{level}, older than every target")
    return chips[max(fitting, key=levels.__getitem__)]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture(scope="session")
def ovenbird(environment: dict[str, str]) -> Run:
    """Run `ovenbird` in a process of its own."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ovenbird", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run
