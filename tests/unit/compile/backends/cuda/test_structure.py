"""What is in a GPU artifact, without a GPU: machine code and PTX, no source, kernels within the chip's limits."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from ovenbird.backends.cuda import toolchain
from ovenbird.backends.cuda.chip import chip_of
from ovenbird.backends.cuda.plans.tiling import (
    FLOAT16_TILES,
    FLOAT32_TILES,
    ProductShape,
    choose_tiling,
    shared_bytes,
    tiles_for,
)
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.compiling import compile_network, runs_here
from ovenbird.errors import BuildFailed, NoCudaCompiler, TargetInvalid
from ovenbird.loading.load import load_network
from ovenbird.options import CompileOptions
from ovenbird.targets import load_target, target_folders
from support.fatbin import Image, fatbins

from .conftest import Compile

CHIPS = {name: load_target(name) for name in target_folders() if name.startswith("cuda-")}
KERNEL = re.compile(r'extern "C" __global__ void __launch_bounds__\((\d+)\) (\w+)\(')


def test_there_are_four_chips() -> None:
    assert {name: spec.chip for name, spec in CHIPS.items()} == {
        "cuda-sm75": "sm_75",
        "cuda-sm80": "sm_80",
        "cuda-sm89": "sm_89",
        "cuda-sm90": "sm_90",
    }
    for spec in CHIPS.values():
        assert chip_of(spec).max_threads == 1024
        assert spec.min_driver == "13.0"


@pytest.mark.parametrize(("name", "arch"), [pytest.param("convolutions", 75, marks=pytest.mark.slow), ("deep", 90)])
def test_machine_code_and_ptx_and_no_source(compile_gpu: Compile, name: str, arch: int) -> None:
    compiled = compile_gpu(name, f"cuda-sm{arch}", "f16")
    assert fatbins(compiled.library) == [[Image("sass", arch), Image("ptx", arch)]] or fatbins(compiled.library) == [
        [Image("ptx", arch), Image("sass", arch)]
    ]
    for text in (b"__global__", b"(int)threadIdx", b"__launch_bounds__", b"#include"):
        assert text not in compiled.library
    document = json.loads((compiled.folder / "target.json").read_text())
    assert document["kind"] == "cuda"
    assert document["compute"] == [f"sm_{arch}"]
    assert document["driver"] == "13.0"


@pytest.mark.parametrize("name", ["convolutions", "deep", "transformer"])
def test_every_function_is_a_kernel(compile_gpu: Compile, name: str) -> None:
    """No layer computes on the processor: each of the lowered functions has a kernel of its name."""
    compiled = compile_gpu(name, "cuda-sm90", "f32")
    kernels = [kernel for _, kernel in KERNEL.findall(compiled.source)]
    assert kernels
    assert all(re.search(r"_kernel(_\d+)?$", kernel) for kernel in kernels)
    assert all(kernel.encode() in compiled.library for kernel in kernels)


SLOW = [pytest.param("convolutions", target, marks=pytest.mark.slow) for target in ("cuda-sm75", "cuda-sm90")]


@pytest.mark.parametrize(("name", "target"), [*SLOW, ("deep", "cuda-sm90")])
def test_kernels_fit_the_chip(compile_gpu: Compile, tmp_path: Path, name: str, target: str) -> None:
    """Threads, registers and shared memory of each kernel, as ptxas counts them, and no spilled registers."""
    compiled = compile_gpu(name, target, "f16")
    chip = chip_of(CHIPS[target])
    (tmp_path / "kernels.cu").write_text(compiled.source)
    command = [str(find_nvcc().path), "--cubin", f"-arch={chip.arch}", "--std=c++17", "--resource-usage"]
    done = subprocess.run(
        [*command, "-o", "kernels.cubin", "kernels.cu"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    threads = {kernel: int(count) for count, kernel in set(KERNEL.findall(compiled.source))}
    report = done.stdout + done.stderr
    seen = 0
    for block in report.split("Compiling entry function '")[1:]:
        kernel = block.split("'")[0]
        registers = int(re.search(r"Used (\d+) registers", block)[1])  # type: ignore[index]
        shared = re.search(r"(\d+) bytes smem", block)
        assert threads[kernel] <= chip.max_threads
        assert registers * threads[kernel] <= chip.registers
        assert int(shared[1] if shared else 0) <= chip.shared_bytes
        assert re.search(r"\b0 bytes spill stores", block), block
        seen += 1
    assert seen == len(threads)


def test_the_driver_is_asked_and_not_its_stand_in(compile_gpu: Compile) -> None:
    """This process may hold a stand-in for the driver by now; what is said must be true of the machine."""
    compiled = compile_gpu("deep", "cuda-sm90", "f32")
    why = runs_here(compiled.folder / "target.json")
    assert why == "" or not why.startswith("libcuda.so.1 is no NVIDIA driver"), why
    if not Path("/proc/driver/nvidia").exists():
        assert why.startswith("no NVIDIA driver on this machine")
        assert why.endswith("compiling needs none")


@pytest.mark.slow
def test_same_bytes_twice(compile_gpu: Compile, tmp_path: Path) -> None:
    first = compile_gpu("deep", "cuda-sm90", "f32")
    options = CompileOptions(("cuda-sm90",), (1, 3), "none")
    compile_network(load_network("support.gpu_networks:deep"), tmp_path / "again", options)
    digests = [
        hashlib.sha256((folder / "targets" / "cuda-sm90" / "model.so").read_bytes()).hexdigest()
        for folder in (first.artifact, tmp_path / "again")
    ]
    assert digests[0] == digests[1]


def test_nothing_is_named_after_the_process(compile_gpu: Compile, tmp_path: Path) -> None:
    """Names of intermediate files decide how the compiler numbers registers in the PTX of some kernels."""
    (tmp_path / "kernels.cu").write_text(compile_gpu("deep", "cuda-sm90", "f32").source)
    command = [*find_nvcc().command("sm_90"), "--dryrun"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    stages = [line for line in done.stderr.splitlines() if re.search(r"(cicc|ptxas|fatbinary)\"? ", line)]
    assert len(stages) >= 3, done.stderr
    assert not [line for line in stages if "tmpxft" in line]


def test_tensor_cores_for_float16_alone(compile_gpu: Compile) -> None:
    assert "wmma::mma_sync" in compile_gpu("deep", "cuda-sm90", "f16").source
    assert "wmma" not in compile_gpu("deep", "cuda-sm90", "f32").source.split('extern "C"', 1)[1]


def test_no_nvcc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(toolchain, "candidates", lambda: [tmp_path / "nvcc"])
    with pytest.raises(NoCudaCompiler, match="found no nvcc: install the CUDA toolkit 13"):
        find_nvcc()


def test_old_nvcc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "nvcc"
    old.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 11.8, V11.8.89'\n")
    old.chmod(0o755)
    monkeypatch.setattr(toolchain, "candidates", lambda: [old])
    with pytest.raises(NoCudaCompiler, match=r"is 11\.8, need nvcc 13\.0 or later"):
        find_nvcc()


def test_source_that_nvcc_refuses(compile_gpu: Compile) -> None:
    with pytest.raises(BuildFailed, match=r"nvcc failed for sm_90: .*error"):
        find_nvcc().compile("this is not CUDA;", "sm_90")


def test_chip_with_a_letter() -> None:
    import dataclasses

    with pytest.raises(TargetInvalid, match="expected sm_75 or later, without a letter"):
        chip_of(dataclasses.replace(CHIPS["cuda-sm90"], chip="sm_90a"))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_tile_fits_the_shared_memory(dtype: str) -> None:
    for spec in CHIPS.values():
        chip = chip_of(spec)
        assert tiles_for(chip, dtype) == (FLOAT16_TILES if dtype == "float16" else FLOAT32_TILES)
        assert all(shared_bytes(tile, dtype) <= chip.shared_bytes for tile in tiles_for(chip, dtype))


def test_few_pixels_are_summed_in_parts() -> None:
    chip = chip_of(CHIPS["cuda-sm90"])
    assert choose_tiling(ProductShape(1, 49, 512, 4608), chip, "float32").splits > 1
    large = choose_tiling(ProductShape(1, 64 * 56 * 56, 256, 576), chip, "float32")
    assert (large.splits, large.tile.rows, large.tile.columns) == (1, 128, 128)
