"""Bring `tvm_ffi` and `libtvm_runtime.so` into the process, once, checked.

    ffi = import_ffi()                     # the tvm_ffi module
    ffi.load_module("/path/to/model.so")

Part of the engine: nothing else imports this.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from ..console.installing import install_hint
from ..errors import EngineLoadFailed, LibraryMissing, VersionMismatch
from ..machine.devices import Device
from ..machine.versions import TVM_FFI_VERSION

LIBRARY_FOLDER = Path(__file__).parents[1] / "lib"
# The VM and its kernels' support, then sort and random, which networks with `topk` or `nms` call.
_LIBRARIES = ("libtvm_runtime.so", "libtvm_runtime_extra.so")
_lock = threading.Lock()
_loaded: list[Any] = []
_loaded_for: dict[str, list[Any]] = {}


def import_ffi() -> Any:
    """Return the `tvm_ffi` module, TVM's runtime library loaded with it.

    Raises LibraryMissing, VersionMismatch, and EngineLoadFailed where the compiler's TVM is already in this
    process: two copies of one library would fight over its registry.
    """
    with _lock:
        if not _loaded:
            if "tvm" in sys.modules:
                raise EngineLoadFailed(
                    "the package tvm is imported in this process: load the model in a process without the compiler"
                )
            ffi = _import_alone()
            if ffi.__version__ != TVM_FFI_VERSION:
                raise VersionMismatch(
                    f"tvm-ffi {ffi.__version__} is installed, this runtime needs {TVM_FFI_VERSION}: "
                    f"pip install apache-tvm-ffi=={TVM_FFI_VERSION}"
                )
            # Read when a pool of threads is made: threads bound to cores fight with other processes'
            # and with containers' limits.
            os.environ.setdefault("TVM_BIND_THREADS", "0")
            # How often an idle thread looks for work before it sleeps. TVM's 300,000 keep each busy for 0.12 s after a
            # call; 2,000 (below 1 ms) bridge the gaps between layers as well, at the same latency.
            os.environ.setdefault("TVM_THREAD_POOL_SPIN_COUNT", "2000")
            libraries = [_open(LIBRARY_FOLDER / name) for name in _LIBRARIES]
            _loaded.extend([ffi, *libraries])
        return _loaded[0]


def import_for(device: Device) -> Any:
    """Return the `tvm_ffi` module, with what code for `device` calls loaded as well, once.

    Raises as `import_ffi`, and LibraryMissing for what the device's maker brings.
    """
    ffi = import_ffi()
    with _lock:
        if device.name not in _loaded_for:
            vendor = device.kind.load_vendor()
            _loaded_for[device.name] = [vendor, *(_open(LIBRARY_FOLDER / name) for name in device.kind.libraries)]
    return ffi


def _open(path: Path) -> ctypes.CDLL:
    if not path.is_file():
        raise LibraryMissing(
            f"{path.name} is not in this installation: {install_hint()}, again "
            "(in a checkout: python runtime/hatch_build.py)"
        )
    try:
        return ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise EngineLoadFailed(f"{path.name} cannot be loaded: {error}") from None


class _Hidden:
    """Hides from this thread what tvm_ffi imports where it is installed, and nothing here needs: torch, which takes a
    second or more, and ml_dtypes.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse those; leave all else to the other finders."""
        if name in ("torch", "ml_dtypes") and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"the Ovenbird runtime does not import {name}", name=name)
        return None


def _import_alone() -> Any:
    finder = _Hidden()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("tvm_ffi")
    except ImportError as error:
        raise LibraryMissing(
            f"tvm_ffi cannot be imported: {error}; pip install apache-tvm-ffi=={TVM_FFI_VERSION}"
        ) from None
    finally:
        sys.meta_path.remove(finder)
