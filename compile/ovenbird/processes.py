"""Processes of this Python: what must not share one with the compiler's TVM runs in one of its own.

python_process(["-m", "ovenbird.verify.runtime_worker", ...]).returncode
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from ovenbird.errors import RuntimeFailed
from ovenbird_runtime.integrity.signatures import REQUIRE_SIGNATURE

TIME_LIMIT_S = 900.0
"""How long an artifact may take for all cases of one verification."""
RUNTIME_PROGRAM = "from ovenbird_runtime.__main__ import main; main('ovenbird')"
"""The runtime's command line. No path to a program: it need not be installed where a checkout is used."""


def python_process(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run this Python with `arguments` in a fresh process that sees the same packages. Raises RuntimeFailed."""
    # What is verified here was made a moment ago, and is signed only when it is known to be right.
    unsigned = {name: value for name, value in environment().items() if name != REQUIRE_SIGNATURE}
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            env=unsigned,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeFailed(f"the runtime gave no answer within {TIME_LIMIT_S:.0f} s") from None


def environment() -> dict[str, str]:
    """Return the environment for a process that imports from where this one does: a checkout need not be installed."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
