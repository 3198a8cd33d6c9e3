"""Call the kernels of `model.so` without TVM: its library, a loader, and the few functions that kernels ask for.

    library = BareLibrary(Path("targets/host/model.so"))
    library.call("fused_conv2d_relu", [image, weight, out])      # aligned numpy arrays, and whole numbers

What a runner must provide, no more (docs/explanation/plan.md): the three functions behind the weak pointers. They are
the simplest that can be: tasks run one after another, scratch memory is allocated anew.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird_runtime.tensors.arrays import aligned_empty

Array = np.ndarray[Any, Any]

PREFIX = "__tvm_ffi_"
NEEDED = {"TVMFFIErrorSetRaisedFromCStrParts", "memcpy", "memset"}
"""Symbols that `model.so` does not bring; the first is called where a kernel refuses its arguments."""
OFFERED = {"__TVMBackendParallelLaunch", "__TVMBackendAllocWorkspace", "__TVMBackendFreeWorkspace"}
"""Weak pointers to functions in `model.so`, for the loader to fill."""

INT, DL_TENSOR = 1, 7  # tags of a TVMFFIAny
CPU = 1
CODES = {"i": 0, "u": 1, "f": 2, "b": 6}  # numpy's kinds -> DLPack's


class DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Any16(ctypes.Structure):
    """TVMFFIAny: a tag, padding, and eight bytes."""

    _fields_ = (("type_index", ctypes.c_int32), ("padding", ctypes.c_uint32), ("value", ctypes.c_int64))


class Group(ctypes.Structure):
    """TVMParallelGroupEnv."""

    _fields_ = (("sync_handle", ctypes.c_void_p), ("num_task", ctypes.c_int32))


LAMBDA = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(Group), ctypes.c_void_p)
LAUNCH = ctypes.CFUNCTYPE(ctypes.c_int, LAMBDA, ctypes.c_void_p, ctypes.c_int)
ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int)
FREE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
KERNEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Any16), ctypes.c_int32, ctypes.POINTER(Any16))


class BareLibrary:
    """A loaded `model.so`, its pointers filled."""

    def __init__(self, path: Path, tasks: int = 3) -> None:
        """Load it; `tasks` is into how many parts kernels divide their work."""
        # Lazily: nobody provides the function that a kernel calls to refuse its arguments. One that does ends the
        # process, "symbol lookup error".
        loader = ctypes.CDLL(None)
        loader.dlopen.restype = ctypes.c_void_p
        handle = loader.dlopen(os.fsencode(path), os.RTLD_LAZY | os.RTLD_LOCAL)
        assert handle, f"{path} cannot be loaded"
        self.library = ctypes.CDLL(str(path), handle=handle)
        self.tasks = tasks
        self.launches = 0
        self.scratch: dict[int, Array] = {}
        self.largest_scratch = 0
        self._offer("__TVMBackendParallelLaunch", LAUNCH(self._launch))
        self._offer("__TVMBackendAllocWorkspace", ALLOCATE(self._allocate))
        self._offer("__TVMBackendFreeWorkspace", FREE(self._free))

    def _offer(self, name: str, function: Any) -> None:
        setattr(self, name, function)  # kept alive
        try:
            pointer = ctypes.c_void_p.in_dll(self.library, name)
        except ValueError:
            return  # no kernel asks for it
        pointer.value = ctypes.cast(function, ctypes.c_void_p).value

    def _launch(self, function: Any, data: int, count: int) -> int:
        self.launches += 1
        group = Group(None, count or self.tasks)
        return max(function(task, ctypes.byref(group), data) for task in range(group.num_task))

    def _allocate(self, device: int, number: int, nbytes: int, code: int, bits: int) -> int:
        memory = aligned_empty((max(nbytes, 1),), "uint8")
        self.scratch[memory.ctypes.data] = memory
        self.largest_scratch = max(self.largest_scratch, nbytes)
        return int(memory.ctypes.data)

    def _free(self, device: int, number: int, address: int) -> int:
        del self.scratch[address]
        return 0

    def bind(self, kernel: str, arguments: list[Array | int]) -> Any:
        """Return a function that calls a kernel with these arguments; they must outlive it."""
        function = KERNEL((PREFIX + kernel, self.library))
        tensors = [tensor_of(value) for value in arguments if not isinstance(value, int)]
        waiting = iter(tensors)
        packed = (Any16 * len(arguments))()
        for place, value in zip(packed, arguments, strict=True):
            if isinstance(value, int):
                place.type_index, place.value = INT, value
            else:
                place.type_index, place.value = DL_TENSOR, ctypes.addressof(next(waiting))

        def call(kept: Any = (tensors, arguments)) -> None:
            code = function(None, packed, len(packed), ctypes.byref(Any16()))
            assert code == 0, f"{kernel} failed"

        return call

    def call(self, kernel: str, arguments: list[Array | int]) -> None:
        """Call a kernel once."""
        self.bind(kernel, arguments)()


def tensor_of(array: Array) -> DLTensor:
    """Describe an array by a plain DLTensor."""
    assert array.flags.c_contiguous
    sizes = ctypes.c_int64 * max(array.ndim, 1)
    strides = [stride // array.itemsize for stride in array.strides]
    return DLTensor(
        array.ctypes.data, CPU, 0, array.ndim, CODES[array.dtype.kind], 8 * array.itemsize, 1,
        sizes(*array.shape), sizes(*strides), 0,
    )  # fmt: skip
