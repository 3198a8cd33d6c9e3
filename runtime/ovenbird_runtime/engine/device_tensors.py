"""Tensors on a device, for the engine: made, filled and read through TVM's runtime.

    memory = DeviceMemory(ffi, Device("cuda", 1), alignment=64)
    tensor = memory.upload(array)             # waits for the copy
    memory.wait()                             # until what was started on the device is done
    memory.download(tensor)                   # an array

For the processor `upload` is a tensor over the array's own memory, and nothing is copied.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ..machine.devices import CPU, Device
from ..tensors.arrays import Array


class DeviceMemory:
    """One device's memory."""

    def __init__(self, ffi: Any, device: Device, alignment: int) -> None:
        """Take the functions that TVM's runtime registers."""
        self._ffi, self._alignment = ffi, alignment
        self.on_cpu = not device.kind.own_memory
        self.device = ffi.device(device.name, device.index)
        self._make = ffi.get_global_func("runtime.TVMTensorAllocWithScope")
        self._write = ffi.get_global_func("runtime.TVMTensorCopyFromBytes")
        self._read = ffi.get_global_func("runtime.TVMTensorCopyToBytes")
        self._clear = ffi.get_global_func("vm.builtin.memory_manager.clear")
        self._sync = ffi.get_global_func("runtime.Device_StreamSync")
        pooled = 2
        """What `vm_initialization` takes: device, index and allocator; the processor's behind those of another."""

        own, processor = (device.kind.dlpack, device.index, pooled), (CPU.kind.dlpack, 0, pooled)
        self.vm_arguments = own if device.kind is CPU.kind else (*own, *processor)

    def upload(self, array: Array) -> Any:
        """Return a tensor of the array's contents: over its memory on the processor, a copy on a GPU."""
        if self.on_cpu:
            return self._ffi.from_dlpack(array, require_alignment=self._alignment, require_contiguous=True)
        tensor = self._make(self._ffi.Shape(array.shape), str(array.dtype), self.device, None)
        self.write(tensor, array)
        return tensor

    def write(self, tensor: Any, array: Array) -> None:
        """Copy a contiguous array into a tensor of its size; on the processor they share memory already."""
        if not self.on_cpu:
            self._write(tensor, array.ctypes.data_as(ctypes.c_void_p), array.nbytes)

    def wait(self) -> None:
        """Wait until everything that was begun on the device is done."""
        if not self.on_cpu:
            self._sync(self.device, 0)

    def release_unused(self) -> None:
        """Let go of the blocks that the VMs of this process keep for later calls, and that no call holds now."""
        self._clear()

    def download(self, tensor: Any) -> Array:
        """Return a tensor as an array: over its memory on the processor, a copy from a GPU."""
        if self.on_cpu:
            return np.from_dlpack(tensor)
        array: Array = np.empty(tuple(tensor.shape), str(tensor.dtype))
        self._read(tensor, array.ctypes.data_as(ctypes.c_void_p), array.nbytes)
        return array
