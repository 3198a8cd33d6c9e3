"""Programs under user-mode emulation: another processor, or an older one of the same kind.

done = emulate("x86_64", "Haswell", [sys.executable, "-c", "print(1)"])
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def emulate(
    machine: str,
    cpu: str,
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    root: Path | None = None,
    timeout: float = 900,
) -> subprocess.CompletedProcess[str]:
    """Run `command` on an emulated `cpu`, its libraries from `root`; skip where the emulator is not installed.

    `timeout` is in seconds: emulated arithmetic takes hundreds of times as long. numpy's OpenBLAS is asked to be for
    the oldest processor: what it detects by itself under emulation ends in SIGILL (on ARM the name means nothing).
    """
    emulator = shutil.which(f"qemu-{machine}-static")
    if emulator is None:
        pytest.skip(f"no qemu-{machine}-static (Debian: qemu-user-static; ci/steps/arm64_root.sh installs it)")
    libraries = ["-L", str(root)] if root else []
    variables = {"OPENBLAS_CORETYPE": "Nehalem", **environment}
    return subprocess.run(
        [emulator, "-cpu", cpu, *libraries, *map(str, command)],
        env={**os.environ, **variables}, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
