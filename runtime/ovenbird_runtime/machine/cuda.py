"""NVIDIA's GPUs: what their driver says of them, which code they run, and the libraries that it needs.

    gpu = probe_gpu(0)
    gpu.driver, gpu.compute             # (13, 0), (9, 0): the CUDA version the driver knows, the chip's capability
    gpu.check(target)                   # raises where code for `target` does not run on it

Every answer comes from `libcuda.so.1`, which is part of the driver and is asked through ctypes before anything of ours
is loaded; no CUDA toolkit is needed.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from pathlib import Path

from ..console.installing import install_hint
from ..dataclass import dataclass
from ..errors import DriverMissing, DriverTooOld, GpuMissing, LibraryMissing, WrongChip
from .cpu import version_pair
from .device_kind import CodeNeeds, DeviceKind

DRIVER_LIBRARY, CUDART = "libcuda.so.1", "libcudart.so.13"
OLDEST_DRIVER = (13, 0)
"""The CUDA version of libcudart that `libtvm_runtime_cuda.so` is built for: an older driver cannot run it."""

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
_NAME_BYTES = 100


@dataclass(frozen=True)
class Gpu:
    """One GPU: its index, the CUDA version its driver knows, its compute capability, and what it calls itself."""

    index: int
    driver: tuple[int, int]
    compute: tuple[int, int]
    name: str = ""

    def check(self, code: CodeNeeds) -> None:
        """Raise what says why `code` does not run here, DriverTooOld or WrongChip; return where it does.

        Machine code runs on later chips of the same generation, the PTX that comes with it on all later ones.
        """
        wanted = version_pair(code.driver) if code.driver else OLDEST_DRIVER
        if self.driver < wanted:
            raise DriverTooOld(
                f"{code.target} needs a driver for CUDA {dotted(wanted)}, this one is for {dotted(self.driver)}: "
                "upgrade the driver, or use device='cpu'"
            )
        if not any(level <= self.compute for level in compute_levels(code)):
            raise WrongChip(
                f"{code.target} has code for {', '.join(code.compute) or 'no chip'} and later, "
                f"cuda:{self.index} is sm_{self.compute[0]}{self.compute[1]}: compile with a target for it"
            )

    def rank(self, code: CodeNeeds) -> tuple[int, int]:
        """Return the latest compute capability of the code that this chip has; (0, 0) where it has none of them."""
        return max((level for level in compute_levels(code) if level <= self.compute), default=(0, 0))


def probe_gpu(index: int, otherwise: str = "or use device='cpu'") -> Gpu:
    """Ask the driver about the GPU `index`. Raises DriverMissing, DriverTooOld, GpuMissing.

    `otherwise` ends the messages: what the caller may do without a GPU.
    """
    try:
        driver = ctypes.CDLL(DRIVER_LIBRARY)
    except OSError:
        raise DriverMissing(
            f"no NVIDIA driver on this machine ({DRIVER_LIBRARY} is not there): "
            f"install one for CUDA {dotted(OLDEST_DRIVER)} or later, {otherwise}"
        ) from None
    number = ctypes.c_int(0)
    _ask(driver, "cuDriverGetVersion", ctypes.byref(number))
    version = (number.value // 1000, number.value % 1000 // 10)
    if version < OLDEST_DRIVER:
        raise DriverTooOld(
            f"the NVIDIA driver is for CUDA {dotted(version)}, this runtime needs {dotted(OLDEST_DRIVER)} or later: "
            f"upgrade the driver, {otherwise}"
        )
    code = _call(driver, "cuInit", 0)
    count = ctypes.c_int(0)
    if code not in (0, _NO_DEVICE):
        raise GpuMissing(f"the NVIDIA driver cannot start (cuInit gave error {code}): see `nvidia-smi`, {otherwise}")
    if code == 0:
        _ask(driver, "cuDeviceGetCount", ctypes.byref(count))
    if index >= count.value:
        seen = "no GPU" if count.value == 0 else f"{count.value} GPU(s), cuda:0 to cuda:{count.value - 1}"
        raise GpuMissing(
            f"cuda:{index} is not on this machine: the driver sees {seen} (see CUDA_VISIBLE_DEVICES), {otherwise}"
        )
    device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    _ask(driver, "cuDeviceGet", ctypes.byref(device), index)
    _ask(driver, "cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, device)
    _ask(driver, "cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, device)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _ask(driver, "cuDeviceGetName", name, len(name), device)
    return Gpu(index, version, (major.value, minor.value), name.value.decode(errors="replace"))


def _ask(driver: ctypes.CDLL, name: str, *arguments: object) -> None:
    code = _call(driver, name, *arguments)
    if code != 0:
        raise GpuMissing(f"the NVIDIA driver does not answer ({name} gave error {code}): see `nvidia-smi`")


def _call(driver: ctypes.CDLL, name: str, *arguments: object) -> int:
    try:
        return int(getattr(driver, name)(*arguments))
    except AttributeError:
        raise DriverMissing(f"{DRIVER_LIBRARY} is no NVIDIA driver: it lacks {name}") from None


def dotted(version: tuple[int, int]) -> str:
    """Return a version as users write it."""
    return f"{version[0]}.{version[1]}"


def compute_levels(code: CodeNeeds) -> list[tuple[int, int]]:
    """Return the compute capabilities of code: sm_90 is (9, 0), sm_120 is (12, 0)."""
    found = []
    for name in code.compute:
        digits = name.removeprefix("sm_")
        if digits.isdecimal() and len(digits) >= 2:
            found.append((int(digits[:-1]), int(digits[-1])))
    return found


def load_cudart() -> ctypes.CDLL:
    """Load CUDA's own runtime: the machine's, or the wheel's that the extra `cuda` installs. Raises LibraryMissing."""
    packages = {Path(entry) for entry in (sysconfig.get_path("purelib"), *sys.path) if entry}
    wheels = [str(folder / "nvidia" / "cu13" / "lib" / CUDART) for folder in sorted(packages)]
    for name in [CUDART, *wheels]:
        try:
            return ctypes.CDLL(name, ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    raise LibraryMissing(f"{CUDART} is not on this machine: {install_hint('cuda')}")


CUDA = DeviceKind(
    "cuda",
    code="cuda",
    dlpack=2,
    probe=probe_gpu,
    own_memory=True,
    libraries=("libtvm_runtime_cuda.so",),
    load_vendor=load_cudart,
)
