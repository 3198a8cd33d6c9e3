"""nvcc for the emulated GPU: the real one makes the fat binary, g++ the kernels that the emulated driver runs for it.

Example: `main("/usr/local/cuda/bin/nvcc", ["--fatbin", "-o", "kernels.fatbin", "kernels.cu"])`, from a script that
stands in nvcc's place (`build_toolkit`). The kernels land in $EMULATED_KERNELS, a folder.
"""

import os
import subprocess
import sys
from pathlib import Path

from support.cuda_emulation import add_kernels


def main(nvcc: str, arguments: list[str]) -> int:
    """Run the real compiler, then emulate what it made; return its exit code."""
    done = subprocess.run([nvcc, *arguments], check=False)
    sources = [name for name in arguments if name.endswith(".cu")]
    if done.returncode == 0 and sources:
        fatbin = Path(arguments[arguments.index("-o") + 1])
        try:
            add_kernels(Path(os.environ["EMULATED_KERNELS"]), fatbin.read_bytes(), Path(sources[0]).read_text())
        except RuntimeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return done.returncode
