"""Is the GPU at hand the one that a target is for? Asked of the driver, before anything is built.

gpu = require_gpu(load_target("cuda-sm90"))        # Gpu(index=0, compute=(9, 0), name="NVIDIA H200", ...)
why_not_on_gpu(Path("targets/cuda-sm90/target.json"))      # "" where that variant can be run here, else the reason
"""

from __future__ import annotations

import sys
from pathlib import Path

from ovenbird.backends.cuda.cuda_libraries import require_cudart
from ovenbird.errors import RuntimeFailed
from ovenbird.process.children import ending, runtime_process
from ovenbird.targets import TargetSpec
from ovenbird_runtime.errors import OvenbirdError, WrongChip
from ovenbird_runtime.machine.cuda import Gpu, probe_gpu
from ovenbird_runtime.manifest.manifest import decode_target

KERNEL_MODULE = Path("/proc/driver/nvidia/version")


def require_gpu(spec: TargetSpec) -> Gpu:
    """Return the first GPU, if it is the very chip of `spec`: schedules that suit one do not suit another.

    Raises DriverMissing, DriverTooOld, GpuMissing, WrongChip, LibraryMissing.
    """
    gpu = probe_gpu(0, otherwise=f"tuning measures on the GPU (`ovenbird compile --target {spec.name}` needs none)")
    here = f"sm_{gpu.compute[0]}{gpu.compute[1]}"
    if here != spec.chip:
        raise WrongChip(
            f"--target {spec.name} is tuned on its own chip, {spec.chip}; cuda:0 is {gpu.name}, {here}: "
            "choose the target for it, or another GPU by CUDA_VISIBLE_DEVICES"
        )
    require_cudart()
    return gpu


def why_not_on_gpu(target_json: Path) -> str:
    """Return why a compiled variant for a GPU cannot be run on this machine, nothing where it can.

    Asked in a process of its own: in one that has compiled GPU code, stand-ins may be in the driver's place. Raises
    RuntimeFailed where that process does not answer.
    """
    done = runtime_process(["-m", "ovenbird.backends.cuda.local_gpu", str(target_json)])
    if done.returncode != 0:
        raise RuntimeFailed(f"cannot ask for the GPU: {ending(done.returncode, done.stderr)}")
    return done.stdout.strip()


def main(target_json: str) -> int:
    """Print why the variant cannot be run here."""
    try:
        target = decode_target(Path(target_json).read_bytes())
        probe_gpu(0, otherwise="compiling needs none").check(target)
        require_cudart()
    except OvenbirdError as error:
        print(error)
    return 0


def describe_gpu(gpu: Gpu) -> dict[str, str]:
    """Return what a tuning log says of the GPU that it was measured on."""
    described = {
        "name": gpu.name,
        "compute": f"sm_{gpu.compute[0]}{gpu.compute[1]}",
        "cuda": f"{gpu.driver[0]}.{gpu.driver[1]}",
    }
    try:
        line = KERNEL_MODULE.read_text(encoding="utf-8", errors="replace").splitlines()[0]
        described["driver"] = line.partition(":")[2].strip()
    except (OSError, IndexError):
        pass  # in containers the file may be hidden
    return described


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
