"""`device="cuda"` on machines that cannot: no driver, an old one, no such GPU, an older chip; and the way back to the
processor where the caller allows it. The driver is a stand-in that says what a test wants; the loader is the real one.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from ovenbird_runtime import errors
from ovenbird_runtime.machine.cuda import Gpu, compute_levels
from ovenbird_runtime.machine.devices import DEVICES, CodeKind, Device, parse_devices
from ovenbird_runtime.manifest.manifest import VariantRef, decode_target, target_bytes
from support.cuda_emulation import Emulation, build_driver
from support.tiny_artifact import copy_tiny, reseal

LOAD = """
import sys, ovenbird_runtime
try:
    with ovenbird_runtime.load(sys.argv[1], device=sys.argv[2]) as model:
        print("runs on", model.device)
except ovenbird_runtime.OvenbirdError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Emulation:
    return build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """The tiny artifact with a second variant, for sm_80 and later (its library is never opened here)."""
    folder = copy_tiny(tmp_path)
    gpu = folder / "targets" / "gpu"
    shutil.copytree(folder / "targets" / "tiny", gpu)
    target = decode_target((gpu / "target.json").read_bytes())
    changed = dataclasses.replace(target, target="gpu", kind="cuda", compute=("sm_80",), driver="13.0")
    (gpu / "target.json").write_bytes(target_bytes(changed))
    (gpu / "model.so").write_bytes(b"never opened")

    def add(manifest):  # type: ignore[no-untyped-def]
        files = dict(manifest.files)
        for name in ("model.so", "target.json"):
            files[f"targets/gpu/{name}"] = files[f"targets/tiny/{name}"]
        variants = (*manifest.variants, VariantRef("gpu", "targets/gpu"))
        return dataclasses.replace(manifest, files=files, variants=variants)

    reseal(folder, add)
    reseal(folder)  # sizes and digests of the new files
    return folder


def load(artifact: Path, device: str, environment: dict[str, str]) -> str:
    """What a process of its own says that loads `artifact` on `device`."""
    packages = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(artifact), device],
        env={**environment, "PYTHONPATH": packages},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


REFUSED = [
    ({"driver": 12040}, "cuda", "DriverTooOld: the NVIDIA driver is for CUDA 12.4, this runtime needs 13.0 or later"),
    ({"gpus": 0}, "cuda", "GpuMissing: cuda:0 is not on this machine: the driver sees no GPU"),
    ({"gpus": 2}, "cuda:3", "GpuMissing: cuda:3 is not on this machine: the driver sees 2 GPU(s), cuda:0 to cuda:1"),
    ({"compute": 75}, "cuda", "WrongChip: gpu has code for sm_80 and later, cuda:0 is sm_75: compile with a target"),
]


@pytest.mark.parametrize(("claims", "device", "message"), REFUSED)
def test_what_a_gpu_cannot_run_is_refused(
    artifact: Path, driver: Emulation, claims: dict[str, int], device: str, message: str
) -> None:
    assert load(artifact, device, driver.environment(**claims)).startswith(message)


@pytest.mark.parametrize("claims", [claims for claims, device, _ in REFUSED if device == "cuda"])
def test_the_processor_where_allowed(artifact: Path, driver: Emulation, claims: dict[str, int]) -> None:
    assert load(artifact, "cuda,cpu", driver.environment(**claims)) == "runs on cpu"


def test_a_fit_chip_is_not_left_for_the_processor(artifact: Path, driver: Emulation) -> None:
    """Later chips take the PTX: what fails then is the library, which is none here, and that is said."""
    message = load(artifact, "cuda,cpu", driver.environment(compute=120))
    assert message.startswith("EngineLoadFailed: targets/gpu/model.so cannot be loaded")


def test_every_device_gives_its_reason(artifact: Path, driver: Emulation) -> None:
    message = load(artifact, "cuda:1,cuda:2", driver.environment())
    assert message.startswith("NoVariant: no device can be used: cuda:1: cuda:1 is not on this machine")


def test_without_a_driver_the_next_device_runs(artifact: Path) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": ""}
    message = load(artifact, "cuda", environment)
    if not message.startswith("DriverMissing"):
        pytest.skip(f"this machine has a driver: {message}")
    assert "libcuda.so.1 is not there" in message
    assert load(artifact, "cuda,cpu", environment) == "runs on cpu"


def test_a_library_that_is_no_driver(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.c").write_text("int nothing;\n")
    subprocess.run(["cc", "-shared", "-o", "libcuda.so.1", "empty.c"], cwd=tmp_path, check=True)
    message = load(artifact, "cuda", {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
    assert message == "DriverMissing: libcuda.so.1 is no NVIDIA driver: it lacks cuDriverGetVersion"


def test_every_kind_of_code_has_its_device() -> None:
    assert sorted(kind.code for kind in DEVICES.values()) == sorted(get_args(CodeKind))
    assert len({kind.dlpack for kind in DEVICES.values()}) == len(DEVICES)


def test_devices_are_read_in_their_order() -> None:
    assert parse_devices("cuda:1, cpu") == (Device("cuda", 1), Device("cpu"))
    assert [str(device) for device in parse_devices("cuda,cuda:2,cpu:0")] == ["cuda", "cuda:2", "cpu"]
    for wrong in ("", "cuda:", "cuda:x", "cpu:1", "gpu", "cuda,,cpu", "cuda:-1", None, 3):
        with pytest.raises(errors.DeviceUnavailable, match="is unknown: choose cpu, cuda"):
            parse_devices(wrong)


def test_the_level_that_a_chip_runs_is_ranked(artifact: Path) -> None:
    target = decode_target((artifact / "targets" / "gpu" / "target.json").read_bytes())
    both = dataclasses.replace(target, compute=("sm_75", "sm_120"))
    assert compute_levels(both) == [(7, 5), (12, 0)]
    Gpu(0, (13, 1), (8, 6)).check(both)
    assert [Gpu(0, (13, 1), level).rank(both) for level in ((8, 6), (12, 1), (7, 0))] == [(7, 5), (12, 0), (0, 0)]
    with pytest.raises(errors.DriverTooOld, match=r"needs a driver for CUDA 13\.2"):
        Gpu(0, (13, 1), (8, 6)).check(dataclasses.replace(both, driver="13.2"))
