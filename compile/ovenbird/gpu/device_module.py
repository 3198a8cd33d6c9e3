"""Gives TVM what it needs to write machine code for CUDA where there is neither a driver nor a GPU.

TVM puts a fat binary into a library by its own CUDA runtime, which wants libcuda and libcudart beside it, though it
calls neither while compiling; without them it would write CUDA source instead. Where they are absent, empty
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

from ovenbird.errors import BuildFailed
from ovenbird.gpu.toolchain import Nvcc

CALLBACK = "tvm_callback_cuda_compile"
SIDECAR = "libtvm_runtime_cuda.so"
#: What TVM's CUDA runtime registers when it is loaded.
MARK = "ffi.Module.load_from_bytes.cuda"


def load_device_module() -> None:
    """Loads TVM's CUDA runtime into this process, once. Raises BuildFailed where that fails."""
    if tvm_ffi.get_global_func(MARK, allow_missing=True) is not None:
        return
    folder = Path(tvm.base._LOADED_LIBS["tvm_runtime"]._name).resolve().parent
    for library in ("libcuda.so.1", "libcudart.so.13"):
        try:
            ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
        except OSError:
            load_stand_in(library)
    # Not by ctypes.CDLL, which resolves every function at once: the stand-ins have none.
    libc = ctypes.CDLL(None)
    libc.dlopen.restype, libc.dlerror.restype = ctypes.c_void_p, ctypes.c_char_p
    if not libc.dlopen(str(folder / SIDECAR).encode(), os.RTLD_LAZY | os.RTLD_LOCAL):
        raise BuildFailed(f"{SIDECAR} of the installed apache-tvm cannot be loaded: {libc.dlerror().decode()}")


def load_stand_in(soname: str) -> None:
    """Loads an empty library that calls itself `soname`, with the version mark that libcudart's users ask for."""
    with tempfile.TemporaryDirectory(prefix="ovenbird-stand-in-") as name:
        folder = Path(name)
        (folder / "empty.c").write_text("int ovenbird_stand_in;\n")
        (folder / "versions").write_text(f"{soname} {{ *; }};\n")
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-Wl,--version-script=versions"]
        try:
            subprocess.run([*command, "-o", soname, "empty.c"], cwd=folder, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BuildFailed(f"cannot build a stand-in for {soname}: {error}; install a C compiler") from None
        ctypes.CDLL(str(folder / soname), ctypes.RTLD_GLOBAL)


class Sources:
    """The CUDA source that TVM handed over while compiling, for dumps and tests."""

    def __init__(self) -> None:
        self.texts: list[str] = []


@contextlib.contextmanager
def compiling_with(nvcc: Nvcc, arch: str, fast_math: bool = False) -> Iterator[Sources]:
    """Within: TVM's CUDA code is compiled by `nvcc` for `arch`."""
    sources = Sources()

    def compile_source(source: str, *_: object) -> bytes:
        sources.texts.append(source)
        return nvcc.compile(source, arch, fast_math)

    before = tvm_ffi.get_global_func(CALLBACK, allow_missing=True)
    tvm_ffi.register_global_func(CALLBACK, compile_source, override=True)
    try:
        yield sources
    finally:
        if before is not None:
            tvm_ffi.register_global_func(CALLBACK, before, override=True)
