"""Commands whose standard streams are full, closed, or read by nobody: as a shell starts them.

result = run_with([sys.executable, "-m", "ovenbird_runtime", "inspect", str(artifact)], "stdout full")
"""

from __future__ import annotations

import os
import subprocess
import sys

REDIRECTIONS = {
    "as it is": '"$@"',
    "pipe read": 'out="${@: -1}"; "$@" & cat "$out" > "$(dirname "$out")/read.npz"; wait $!',
    "stdout full": '"$@" > /dev/full',
    "stdout closed": '"$@" >&-',
    "both closed": '"$@" >&- 2>&-',
    "all closed": '"$@" <&- >&- 2>&-',
    "both full": '"$@" > /dev/full 2>&1',
    "nobody reads": 'set -o pipefail; "$@" | true',
    "stderr full": '"$@" > /dev/null 2> /dev/full',
    "stderr closed": '"$@" > /dev/null 2>&-',
}


def run_with(command: list[str], redirection: str) -> subprocess.CompletedProcess[str]:
    """Run a command under one of the redirections."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    shell = ["bash", "-c", REDIRECTIONS[redirection], "bash", *command]
    return subprocess.run(shell, capture_output=True, text=True, env=environment, check=False, timeout=120)


def check_failed_output(result: subprocess.CompletedProcess[str], redirection: str) -> None:
    """Check that a command which prints something fails as it should."""
    assert result.returncode == 1, (redirection, result)
    reasons = {"stdout full": "No space left on device", "stdout closed": "Bad file descriptor"}
    if redirection in reasons:
        assert result.stderr == f"error: OutputNotWritten: standard output: {reasons[redirection]}\n"
    else:
        assert result.stderr == ""
