"""The image of a CUDA target, on a machine without a GPU: it holds CUDA's library, says what is missing, and answers
from the processor where it may.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.errors import NoCudaCompiler
from support.baking import MODEL, TARGETS, bake, expected_classes, ovenbird, predicted_classes
from support.containers import RunningImage
from support.cuda_emulation import build_driver

TARGET = "cuda-sm90"
READY_SECONDS = 60
MAX_OWN_BYTES = 150e6


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact for the GPU and for processors."""
    try:
        find_nvcc()
    except NoCudaCompiler as error:
        pytest.skip(str(error))
    output = tmp_path_factory.mktemp("compiled") / "net"
    targets = [word for target in (TARGET, TARGETS["amd64"]) for word in ("--target", target)]
    ovenbird("compile", MODEL, *targets, "--batch-sizes", "1", "--output", str(output), "--quiet")
    return output


@pytest.fixture(scope="module")
def baked(both: Path, bases: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    sbom = tmp_path_factory.mktemp("sbom") / "image.cdx.json"
    return bake(both, TARGET, bases, "--sbom", str(sbom)) | {"sbom": sbom}


def test_is_what_it_says(baked: dict[str, Any]) -> None:
    assert baked["platform"] == "linux/amd64"
    assert baked["labels"]["ovenbird.target"] == TARGET
    assert 0 < baked["own_bytes"] <= MAX_OWN_BYTES, f"{baked['own_bytes'] / 1e6:.1f} MB"
    names = {component["name"] for component in json.loads(baked["sbom"].read_text())["components"]}
    assert "nvidia-cuda-runtime" in names
    assert not any("nvcc" in name or "nvvm" in name for name in names)


def test_without_a_gpu_it_says_so(baked: dict[str, Any]) -> None:
    with RunningImage.start(baked["image"]) as running:
        assert running.process.wait(READY_SECONDS) == 1
        assert "DriverMissing" in running.text()
        assert "Traceback" not in running.text()


def test_the_processor_answers_where_it_may(baked: dict[str, Any], both: Path) -> None:
    serve = ["serve", "/artifact", "--host", "0.0.0.0", "--device", "cuda,cpu"]
    with RunningImage.start(baked["image"], *serve) as running:
        running.wait_ready(READY_SECONDS)
        assert predicted_classes(running) == expected_classes(both)
        assert running.terminate() == 0


def test_cudas_library_is_there_and_loads(baked: dict[str, Any], tmp_path: Path) -> None:
    """Everything but the driver is in the image. The driver here is one for tests, that the image is lent."""
    build_driver(tmp_path)
    driver = tmp_path / "libcuda.so.1"
    code = "from ovenbird_runtime.engine.ffi import import_for\nfrom ovenbird_runtime.machine.devices import Device\n"
    code += "import_for(Device('cuda'))\n"
    code += "print([line.split()[-1] for line in open('/proc/self/maps') if 'cudart' in line][0])"
    library = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"  # where NVIDIA's container runtime puts it
    python = ["python3", "-c", code]
    with RunningImage.start(baked["image"], "x", entrypoint=python) as running:
        assert running.process.wait(READY_SECONDS) == 1
        assert "libcuda.so.1" in running.text()
    with RunningImage.start(baked["image"], "x", entrypoint=python, volumes={driver: library}) as running:
        assert running.process.wait(READY_SECONDS) == 0, running.text()
        assert running.text().strip() == "/opt/ovenbird/nvidia/cu13/lib/libcudart.so.13"
