"""Run an image without an engine: its own command, user and environment, on a read-only root, in its own network.

with RunningImage.start("ovenbird/resnet50:x86-64-v3") as running:
    status, body = running.request("GET", "/v2/health/ready")

Needs root. What an engine does is done with its parts: buildah mounts the image, the kernel's namespaces (mounts,
processes, network) hold it, `chroot --userspec` takes root's rights away, and a veth pair is the only way in. An image
of another processor runs under qemu's user-mode emulation, which is mounted into it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Inside its own mount namespace: the root read-only, with what every engine gives (proc, a few devices), volumes.
ENTER = """
set -eu
root=$1 user=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else touch "$root$2"; fi
    mount --bind "$1" "$root$2"; mount -o "remount,bind,nosuid,nodev,$3" "$root$2"; shift 3
done
shift
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=64k tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3; mknod -m 444 "$root/dev/urandom" c 1 9
mount -o remount,ro "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""


def run(*command: str) -> str:
    """Run a command; return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class RunningImage:
    """A started image: its process, its address, its log."""

    process: subprocess.Popen[bytes]
    address: str
    port: int
    log: IO[bytes]
    root: Path

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, image: str, *arguments: str, volumes: dict[Path, str] | None = None, entrypoint: list[str] | None = None
    ) -> Iterator[RunningImage]:
        """Start an image (`arguments` in place of its CMD); kill and clean up at the end, whatever happened.

        `volumes` maps folders and files of this machine to "PLACE" or "PLACE:OPTIONS" in the image (default: ro).
        """
        with contextlib.ExitStack() as stack:
            docker = json.loads(run("buildah", "inspect", "--type", "image", image))["Docker"]
            config = docker["config"]
            container = run("buildah", "from", "--pull-never", image)
            stack.callback(run, "buildah", "rm", container)
            root = Path(run("buildah", "mount", container))
            namespace, address = stack.enter_context(network())
            mounts = []
            for path, place in (volumes or {}).items():
                where, _, mount_options = place.partition(":")
                mounts += [str(path), where, mount_options or "ro"]
            command = [*(entrypoint or config["Entrypoint"]), *(arguments or config["Cmd"])]
            machine = MACHINES[docker["architecture"]]
            if machine != platform.machine():
                emulator = shutil.which(f"qemu-{machine}-static")
                assert emulator, f"no qemu-{machine}-static: ci/steps/containers.sh installs it"
                mounts += [emulator, "/.qemu", "ro"]
                command = ["/.qemu", _program(root, command[0]), *command[1:]]
            log = stack.enter_context(tempfile.TemporaryFile())
            spaces = ["ip", "netns", "exec", namespace, "unshare", "--mount", "--pid", "--fork", "--kill-child"]
            enter = ["bash", "-c", ENTER, "enter", str(root), config["User"], *mounts, "--"]
            process = subprocess.Popen(
                [*spaces, *enter, *command],
                stdout=log,
                stderr=log,
                env=dict(entry.split("=", 1) for entry in config["Env"]) | {"PATH": os.environ["PATH"]},
            )
            stack.callback(_end, process)
            port = int(next(iter(config["ExposedPorts"])).split("/")[0])
            yield cls(process, address, port, log, root)

    def request(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, Any]:
        """Send one request over the network; return the status and the answer's JSON."""
        client = http.client.HTTPConnection(self.address, self.port, timeout=120)
        try:
            # emulated, a prediction takes seconds where it takes milliseconds
            headers = {"X-Request-Timeout-Ms": "30000"} | ({"Content-Type": kind} if kind else {})
            client.request(method, path, body, headers)
            response = client.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text.startswith((b"{", b"[")) else text
        finally:
            client.close()

    def wait_ready(self, seconds: float) -> None:
        """Wait until the readiness route says yes; fail with the log where it does not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.text()
            with contextlib.suppress(OSError):
                if self.request("GET", "/v2/health/ready")[0] == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(f"not ready after {seconds} s: {self.text()}")

    def text(self) -> str:
        """Return what the image printed."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def server_status(self) -> dict[str, str]:
        """Return /proc/PID/status of the server itself."""
        child = run("pgrep", "--parent", str(self.process.pid))
        lines = Path(f"/proc/{child}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def terminate(self, seconds: float = 60) -> int:
        """Send SIGTERM to the server, as an engine does; return its exit code."""
        os.kill(int(run("pgrep", "--parent", str(self.process.pid))), signal.SIGTERM)
        return self.process.wait(seconds)


def _program(root: Path, name: str) -> str:
    """Find a program in a root, links followed inside it."""
    for folder in ("usr/local/bin", "usr/bin", "bin"):
        path = root / folder / name
        if path.is_symlink():
            return f"/{folder}/{path.readlink()}"
        if path.exists():
            return f"/{folder}/{name}"
    raise AssertionError(f"no {name} in {root}")


def _end(process: subprocess.Popen[bytes]) -> None:
    # unshare's --kill-child is not enough: the kernel forgets that wish when `chroot` gives root's rights away
    children = subprocess.run(["pgrep", "--parent", str(process.pid)], capture_output=True, text=True, check=False)
    for child in children.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.wait()


@contextlib.contextmanager
def network() -> Iterator[tuple[str, str]]:
    """Make a network namespace joined to ours by a veth pair; return its name and its address."""
    number = os.getpid() % 250 + 1
    name, outer, inner = f"ovenbird-{number}", f"ovb{number}a", f"ovb{number}b"
    with contextlib.ExitStack() as stack:
        run("ip", "netns", "add", name)
        stack.callback(run, "ip", "netns", "delete", name)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
        # the kernel takes a dead namespace's links away at its leisure, and the next test wants the name
        stack.callback(subprocess.run, ("ip", "link", "delete", outer), capture_output=True, check=False)
        run("ip", "address", "add", f"10.213.{number}.1/30", "dev", outer)
        run("ip", "link", "set", outer, "up")
        run("ip", "-n", name, "address", "add", f"10.213.{number}.2/30", "dev", inner)
        run("ip", "-n", name, "link", "set", inner, "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        yield name, f"10.213.{number}.2"
