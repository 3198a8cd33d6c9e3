"""Gives TVM what it needs to write machine code for CUDA where there is neither a driver nor a GPU.

TVM puts a fat binary into a library by its own CUDA runtime, which wants libcuda and libcudart as well, though it
needs neither while compiling; without them it would write CUDA source instead. Where they are absent, next to empty
libraries of their names stand in for them in this process.

    load_device_module()
    with compiling_with(nvcc, "sm_90"):
        relax.build(...)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tvm
import tvm_ffi

from ovenbird.backends.cuda.cuda_libraries import CUDART, DRIVER, cudart_wheels, load_first, require_cudart
from ovenbird.backends.cuda.toolchain import Nvcc
from ovenbird.errors import BuildFailed

CALLBACK = "tvm_callback_cuda_compile"
SIDECAR = "libtvm_runtime_cuda.so"
STAND_IN = """
int cudaGetDevice(int* device) { *device = 0; return 0; }
int cudaSetDevice(int device) { return 0; }
int cuModuleUnload(void* module) { return 0; }
"""
"""What TVM calls when code for a GPU that was never loaded there is let go of."""

MARK = "ffi.Module.load_from_bytes.cuda"
"""What TVM's CUDA runtime registers when it is loaded."""


def load_device_module() -> None:
    """Load TVM's CUDA runtime into this process, once. Raises BuildFailed where that fails."""
    if tvm_ffi.get_global_func(MARK, allow_missing=True) is not None:
        return
    folder = Path(tvm.base._LOADED_LIBS["tvm_runtime"]._name).resolve().parent
    if not load_first(DRIVER):
        load_stand_in(DRIVER)
        load_stand_in(CUDART)
    elif not load_first(CUDART, *cudart_wheels()):
        load_stand_in(CUDART)
    # Not by ctypes.CDLL, which resolves every function at once: stand-ins have three.
    libc = ctypes.CDLL(None)
    libc.dlopen.restype, libc.dlerror.restype = ctypes.c_void_p, ctypes.c_char_p
    if not libc.dlopen(str(folder / SIDECAR).encode(), os.RTLD_LAZY | os.RTLD_LOCAL):
        raise BuildFailed(f"{SIDECAR} of the installed apache-tvm cannot be loaded: {libc.dlerror().decode()}")


def load_cuda_runtime() -> None:
    """Load TVM's CUDA runtime to run code on a GPU, for which stand-ins will not do. Raises LibraryMissing."""
    require_cudart()
    load_device_module()


def load_stand_in(soname: str) -> None:
    """Load a library of next to nothing called `soname`, with the version mark that libcudart's users ask for."""
    with tempfile.TemporaryDirectory(prefix="ovenbird-stand-in-") as name:
        folder = Path(name)
        (folder / "empty.c").write_text(STAND_IN)
        (folder / "versions").write_text(f"{soname} {{ *; }};\n")
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-Wl,--version-script=versions"]
        try:
            subprocess.run([*command, "-o", soname, "empty.c"], cwd=folder, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BuildFailed(f"cannot build a stand-in for {soname}: {error}; install a C compiler") from None
        ctypes.CDLL(str(folder / soname), ctypes.RTLD_GLOBAL)


class Sources:
    """The CUDA source that TVM handed over while compiling, and ptxas's reports where they were asked for."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.reports: list[str] = []


@contextlib.contextmanager
def compiling_with(nvcc: Nvcc, arch: str, fast_math: bool = False, report: bool = False) -> Iterator[Sources]:
    """Within: TVM's CUDA code is compiled by `nvcc` for `arch`. `report`: keep what ptxas says of it."""
    sources = Sources()

    def compile_source(source: str, *_: object) -> bytes:
        sources.texts.append(source)
        if not report:
            return nvcc.compile(source, arch, fast_math)
        code, said = nvcc.compile_and_report(source, arch)
        sources.reports.append(said)
        return code

    before = tvm_ffi.get_global_func(CALLBACK, allow_missing=True)
    tvm_ffi.register_global_func(CALLBACK, compile_source, override=True)
    try:
        yield sources
    finally:
        if before is not None:
            tvm_ffi.register_global_func(CALLBACK, before, override=True)
