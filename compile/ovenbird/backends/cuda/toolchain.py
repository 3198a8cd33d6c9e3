"""nvcc: from CUDA source to one fat binary with machine code for a chip and PTX for later ones.

    compiler = find_nvcc()                                        # on PATH, in $CUDA_HOME, or in NVIDIA's wheels
    fatbin = compiler.compile(source, "sm_90", fast_math=False)   # the same source, the same bytes

No GPU and no driver are needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ovenbird.errors import BuildFailed, NoCudaCompiler
from ovenbird_runtime.console.installing import install_hint

OLDEST = (13, 0)
"""The first CUDA version whose fat binaries the runtime's libcudart 13 is tested with."""

HINT = f"install the CUDA toolkit 13, or set CUDA_HOME; its nvcc comes with {install_hint('cuda', '.')}"


@dataclass(frozen=True)
class Nvcc:
    """A CUDA compiler: its path and its version, as (13, 0)."""

    path: Path
    version: tuple[int, int]

    def command(self, arch: str, flags: Sequence[str] = ()) -> list[str]:
        """Return the command that makes kernels.fatbin of kernels.cu in the current folder, the same bytes every time.

        Names are relative: the folder's own would reach the fat binary. --keep has intermediate files lie next to them,
        named after the source: elsewhere they are named after the process, and the PTX's registers depend on that.
        """
        level = arch.removeprefix("sm_")
        command = [str(self.path), "--fatbin", "--keep", "-O3", "--std=c++17", *flags]
        command += ["-gencode", f"arch=compute_{level},code=[sm_{level},compute_{level}]"]
        return [*command, "-o", "kernels.fatbin", "kernels.cu"]

    def compile(self, source: str, arch: str, fast_math: bool = False) -> bytes:
        """Return one fat binary of `source` for `arch` ("sm_90"): machine code, and PTX of the same level.

        Exact arithmetic unless `fast_math`. Raises BuildFailed with the compiler's first error.
        """
        return self._run(source, arch, ["--use_fast_math"] if fast_math else [])[0]

    def compile_and_report(self, source: str, arch: str) -> tuple[bytes, str]:
        """Return the same, and what ptxas says that each kernel takes (`ovenbird.backends.cuda.usage` reads it)."""
        return self._run(source, arch, ["--resource-usage"])

    def _run(self, source: str, arch: str, flags: Sequence[str]) -> tuple[bytes, str]:
        with tempfile.TemporaryDirectory(prefix="ovenbird-nvcc-") as folder:
            (Path(folder) / "kernels.cu").write_text(source, encoding="utf-8")
            command = self.command(arch, flags)
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            said = done.stdout + done.stderr
            if done.returncode != 0:
                lines = [line for line in said.splitlines() if "error" in line.lower()]
                raise BuildFailed(f"nvcc failed for {arch}: {(lines or ['no message'])[0].strip()}")
            return (Path(folder) / "kernels.fatbin").read_bytes(), said


def candidates() -> list[Path]:
    """Return where nvcc may be, first choice first."""
    found = []
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if home := os.environ.get(variable):
            found.append(Path(home) / "bin" / "nvcc")
    if on_path := shutil.which("nvcc"):
        found.append(Path(on_path))
    packages = Path(sysconfig.get_path("purelib"))
    return [*found, packages / "nvidia" / "cu13" / "bin" / "nvcc", Path("/usr/local/cuda/bin/nvcc")]


def find_nvcc() -> Nvcc:
    """Return the first nvcc that answers and is new enough. Raises NoCudaCompiler saying what was found."""
    refused = []
    for path in dict.fromkeys(candidates()):
        if not path.is_file():
            continue
        version = version_of(path)
        if version is not None and version >= OLDEST:
            return Nvcc(path, version)
        refused.append(f"{path} is {'.'.join(map(str, version)) if version else 'not running'}")
    needed = ".".join(map(str, OLDEST))
    what = f"{'; '.join(refused)}, need nvcc {needed} or later" if refused else "found no nvcc"
    raise NoCudaCompiler(f"{what}: {HINT}")


def version_of(path: Path) -> tuple[int, int] | None:
    """Return the CUDA version that an nvcc says it is of."""
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    match = re.search(r"release (\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match and done.returncode == 0 else None
