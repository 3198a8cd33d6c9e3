"""Running an artifact from the compiler: in a process of its own, as two copies of TVM's runtime cannot share one.

answers = run_artifact(Path("artifacts/resnet50"), {"case0": {"image": array}})
answers["case0"]["logits"]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.errors import RuntimeFailed
from ovenbird.networks.network import Arrays
from ovenbird_runtime.integrity.signatures import REQUIRE_SIGNATURE

TIME_LIMIT_S = 900.0
"""How long an artifact may take for all cases of one verification."""
RUNTIME_PROGRAM = "from ovenbird_runtime.__main__ import main; main('ovenbird')"
"""The runtime's command line. No path to a program: it need not be installed where a checkout is used."""


def run_artifact(
    artifact: Path,
    cases: Mapping[str, Arrays],
    threads: int | None = None,
    target: str | None = None,
    device: str = "cpu",
) -> dict[str, Arrays]:
    """Run an artifact (its variant for `target`, or its best) on named cases of named inputs, on a device.

    Raises RuntimeFailed with the runtime's own reason.
    """
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as work:
        given, got = Path(work) / "cases.npz", Path(work) / "answers.npz"
        flat: dict[str, Any] = {f"{case}/{name}": a for case, inputs in cases.items() for name, a in inputs.items()}
        np.savez(given, **flat)
        command = ["-m", "ovenbird.verify.runtime_worker", str(artifact), str(given), str(got)]
        command += ["--device", device, *(["--threads", str(threads)] if threads else [])]
        done = python_process(command + (["--target", target] if target else []))
        if done.returncode != 0:
            raise RuntimeFailed(f"the runtime could not run the artifact: {_reason(done)}")
        answers: dict[str, Arrays] = {}
        with np.load(got, allow_pickle=False) as archive:
            for key in archive.files:
                case, _, name = key.partition("/")
                answers.setdefault(case, {})[name] = archive[key]
    return answers


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


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"its process ended by {signal.Signals(-done.returncode).name}"
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            found = json.loads(line)
            return f"{found['error']}: {found['message']}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"
