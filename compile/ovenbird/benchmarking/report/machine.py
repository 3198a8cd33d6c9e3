"""What the figures were measured on, for the report's head.

describe()["processor"], describe()["system"]
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ovenbird_runtime.machine.versions import __version__


def describe() -> dict[str, Any]:
    """Return the processor's name, how many of them this process may use, the system, Python and our version."""
    return {
        "processor": processor_name(),
        "processors": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}, {' '.join(part for part in platform.libc_ver() if part)}",
        "python": platform.python_version(),
        "ovenbird": __version__,
    }


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, family and model (hypervisors often shorten the name); else the architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    name = found.get("model name")
    if name is None:
        return platform.machine()
    return f"{name} (family {found.get('cpu family', '?')}, model {found.get('model', '?')})"
