"""Runs an artifact's GPU code without a GPU: the driver and the kernels emulated on this processor.

    emulation = build_emulation(folder, cuda_source)          # libcuda.so.1, libcudart.so.13, kernels.so
    environment = emulation.environment(compute=90)           # for a process that calls load(..., device="cuda")

    emulation = build_toolkit(folder)                         # a driver, and an nvcc whose kernels the driver finds
    environment = emulation.environment()                     # for `ovenbird tune` and `ovenbird compile`

The artifact, its host code, the launches and TVM's CUDA runtime are the real ones; the kernels are the CUDA source that
nvcc was given, compiled by g++ with `emulation.h`, where threads are fibers and barriers are real.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
KERNEL = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\((\d+)\) )?(\w+)\(([^)]*)\);')
LIBRARIES = ("libcuda.so.1", "libcudart.so.13")


@dataclass(frozen=True)
class Emulation:
    """A folder with the emulated driver, and kernels: one library, or a folder of one for each fat binary."""

    folder: Path
    kernels: str = "kernels.so"

    def environment(self, **settings: int) -> dict[str, str]:
        """The environment of a process that runs on it; `driver`, `compute` and `gpus` are what it claims to be."""
        claims = {f"EMULATED_{name.upper()}": str(value) for name, value in settings.items()}
        path = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("LD_LIBRARY_PATH", "")]))
        own = {"LD_LIBRARY_PATH": path, "EMULATED_KERNELS": str(self.folder / self.kernels)}
        if (self.folder / "cuda").is_dir():
            own["CUDA_HOME"] = str(self.folder / "cuda")
        return {**os.environ, **own, **claims}


def build_driver(folder: Path) -> Emulation:
    """The emulated driver alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, library in driver_libraries().items():
        (folder / name).write_bytes(library)
    return Emulation(folder)


@functools.cache
def driver_libraries() -> dict[str, bytes]:
    """The driver's libraries, by name: one object, linked under both names."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        run_cc(folder, "-c", HERE / "driver.cc", "-o", "driver.o")
        for name in LIBRARIES:
            (folder / "versions").write_text(f"{name} {{ *; }};\n")
            script = "-Wl,--version-script=versions"
            run_cc(folder, "-shared", "driver.o", f"-Wl,-soname,{name}", script, "-ldl", "-o", name)
        return {name: (folder / name).read_bytes() for name in LIBRARIES}


def build_emulation(folder: Path, source: str) -> Emulation:
    """The emulated driver, and kernels from the CUDA source that TVM wrote."""
    emulation = build_driver(folder)
    (folder / "kernels.cc").write_text(host_source(source))
    compile_cc(folder, folder / "kernels.cc", "kernels.so", "-O2", "-march=native", "-fno-strict-aliasing", "-w")
    return emulation


def build_toolkit(folder: Path) -> Emulation:
    """The emulated driver, and an nvcc: the real one, which also leaves what the driver needs to run its kernels.

    Raises NoCudaCompiler where there is no real one.
    """
    from ovenbird.backends.cuda.toolchain import find_nvcc

    build_driver(folder)
    (folder / "kernels").mkdir(exist_ok=True)
    nvcc = folder / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True, exist_ok=True)
    script = f"import sys\nsys.path.insert(0, {str(HERE.parents[1])!r})\n"
    script += f"from support.cuda_emulation.nvcc import main\nsys.exit(main({str(find_nvcc().path)!r}, sys.argv[1:]))\n"
    nvcc.write_text(f"#!{sys.executable}\n{script}")
    nvcc.chmod(0o755)
    return Emulation(folder, "kernels")


def add_kernels(folder: Path, fatbin: bytes, source: str, *flags: str) -> None:
    """Compile the kernels of a fat binary into `folder`, under the name by which the driver looks for them."""
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "kernels.cc").write_text(host_source(source))
        options = ("-march=native", "-fno-strict-aliasing", "-w", *(flags or ("-O2",)))
        compile_cc(Path(work), Path(work) / "kernels.cc", "kernels.so", *options)
        _, _, header, payload = struct.unpack_from("<IHHQ", fatbin)
        shutil.move(Path(work) / "kernels.so", folder / f"{fnv1a(fatbin[: header + payload]):016x}.so")


def fnv1a(data: bytes) -> int:
    """The 64-bit FNV-1a hash, as `driver.cc` computes it."""
    found = 0xCBF29CE484222325
    for byte in data:
        found = (found ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return found


def host_source(source: str) -> str:
    """The source with the emulation in place of CUDA's headers, and an entry point for each kernel."""
    kernels = KERNEL.findall(source)
    start = source.index('extern "C" __global__')
    body = re.sub(
        r"extern __shared__ (?:__align__\(\d+\) )?(\w+) (\w+)\[\];", r"\1* \2 = dynamic_shared<\1>();", source[start:]
    )
    body = re.sub(r"__shared__ (alignas\(\d+\))", r"\1 __shared__", body)
    entries = "\n".join(
        f'extern "C" void emulated_{name}(void** p, const unsigned* g, const unsigned* b, size_t shared) {{\n'
        f"  emulation::run([p] {{ emulation::call({name}, p); }},\n"
        "                 {g[0], g[1], g[2]}, {b[0], b[1], b[2]}, shared);\n}"
        for _, name, _ in kernels
    )
    types = "#define uint unsigned\n#define uchar unsigned char\n#define ushort unsigned short\n"
    return f'#include "emulation.h"\n{types}{body}\n{entries}\n'


def compile_cc(folder: Path, source: Path, output: str, *flags: str) -> None:
    """Compile one shared library in `folder`. Raises RuntimeError with g++'s words."""
    run_cc(folder, "-shared", f"-I{HERE}", "-o", output, source, *flags)


def run_cc(folder: Path, *arguments: str | Path) -> None:
    """Run g++ in `folder`. Raises RuntimeError with its words."""
    command = ["g++", "-std=c++17", "-fPIC", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"g++ failed: {' '.join(command)}\n{done.stderr[:4000]}")
