"""A server that may do nothing: nobody's user, no capabilities, every file system read-only.

The kernel's mount namespace makes it so, as a container's engine would; the images are tried in tests/container.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pictures import encoded
from support.reporting import Report
from support.serving import Serving
from support.tiny_artifact import tiny_artifact

NOBODY = 65534
ENTER = """
while read -r _ place kind _; do
    case $kind in proc|sysfs|cgroup*|devpts|mqueue) continue ;; esac
    mount -o remount,bind,ro "$(printf '%b' "$place")" 2>/dev/null
done < /proc/mounts
[ ! -w / ] || { echo "the kernel leaves / writable" >&2; exit 99; }
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""
PREFIX = ("unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh")
PLACES = ("/", "/tmp", "/var/tmp", "/run", "/home", "/dev/shm", "/etc", str(Path.cwd()))
WRITE = 'for place; do f=$place/ovenbird-$$; (: > "$f") 2>/dev/null && { echo "$place"; rm -f "$f"; }; done; true'


@pytest.fixture
def readable() -> Iterator[Path]:
    """Yield a copy of the artifact that everyone may read."""
    folder = Path(tempfile.mkdtemp(prefix="ovenbird-readable-"))
    folder.chmod(0o755)
    try:
        yield Path(shutil.copytree(tiny_artifact(), folder / "tiny"))
    finally:
        shutil.rmtree(folder)


def test_runs_as_nobody_on_a_read_only_root(readable: Path, report: Report) -> None:
    tried = subprocess.run([*PREFIX, sys.executable, "-c", "import numpy"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(
            f"needs root, unshare and setpriv, and a Python that nobody may read: {tried.stderr.strip()[-200:]}"
        )
    with Serving.start(readable, prefix=PREFIX) as server:
        answered = sum(server.request("POST", "/v1/models/tiny:predict", encoded())[0] == 200 for _ in range(20))
        text = Path(f"/proc/{server.process.pid}/status").read_text()
        status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        capabilities = sum(bin(int(status[name], 16)).count("1") for name in ("CapEff", "CapPrm", "CapBnd"))
        # Root may write where permissions say no, so what refuses it in the server's namespace is the mount.
        enter = ["nsenter", "--mount", "--target", str(server.process.pid), "sh", "-c", WRITE, "sh"]
        places = [place for place in PLACES if Path(place).is_dir()]
        writable = subprocess.run([*enter, *places], capture_output=True, text=True, check=True).stdout.split()
        users = set(status["Uid"].split())
        report(
            "unprivileged",
            uid=" ".join(sorted(users)),
            capabilities=capabilities,
            writable=len(writable),
            answered=answered,
            of=20,
        )
        assert users == {str(NOBODY)}
        assert capabilities == 0
        assert writable == []
        assert answered == 20
        assert server.stop() == 0
