"""The servers of a comparison as processes, asleep while another is asked.

    with Running.start(server, log) as running:     # ready to answer, idle memory taken
        running.settle(); running.stop()            # SIGSTOP for its whole process group
        running.go_on()                             # SIGCONT, before its turn

A stopped server keeps its memory and its sockets and takes no processor time, so that each one is asked as if it were
alone, moments after the one it is compared with.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIRST_PORT, PORTS = 8290, 100
BATCHED, UNBATCHED = "ovenbird", "ovenbird, unbatched"
READY_SECONDS = 90
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """One server: how to start it, where to ask, what to send."""

    name: str
    command: list[str]
    port: int
    path: str
    ready: str
    form: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def servers_of(artifact: str, onnx: str | None) -> list[Server]:
    """Return the servers that this run compares, each on a port of its own."""
    name = json.loads((Path(artifact) / "manifest.json").read_text())["model"]["name"]
    ours = [sys.executable, "-m", "ovenbird_runtime.cli", "serve", artifact, "--no-access-log"]
    ours += ["--timeout-ms", "20000"]
    route, ready = f"/v1/models/{name}:predict", "/v2/health/ready"
    found = []
    for label, more in ((BATCHED, []), (UNBATCHED, ["--max-batch", "1"])):
        port = free_port(FIRST_PORT, [server.port for server in found])
        found.append(Server(label, [*ours, "--port", str(port), *more], port, route, ready))
    if onnx:
        environment = {"ONNX": str(Path(onnx).resolve())}
        for peer, health, form in (("fastapi", ready, False), ("litserve", "/health", True)):
            port = free_port(FIRST_PORT, [server.port for server in found])
            command = [sys.executable, str(HERE / f"peer_{peer}.py"), str(port)]
            found.append(Server(f"{peer} + onnxruntime", command, port, "/predict", health, form, environment))
    return found


def free_port(first: int, used: Collection[int] = ()) -> int:
    """Return the first port from `first` on that is not `used` and that nobody listens at, whose answers would count as
    those of the server that is to be asked. Raises SystemExit.
    """
    for port in range(first, first + PORTS):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a server left behind may still close
            if port not in used:
                probe.bind(("", port))
                return port
    raise SystemExit(f"no port from {first} to {first + PORTS - 1} is free")


class Running:
    """A server's process and those that it started: a process group."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes]) -> None:
        self.server, self._process = server, process
        self.idle_mib = self.loaded_mib = 0.0

    @classmethod
    @contextlib.contextmanager
    def start(cls, server: Server, folder: Path) -> Iterator[Running]:
        """Start a server and wait until it is ready; end the whole group at the end, whatever happened."""
        with (folder / f"server-{server.port}.log").open("wb") as log:
            environment = os.environ | server.environment
            process = subprocess.Popen(server.command, stdout=log, stderr=log, env=environment, start_new_session=True)
            running = cls(server, process)
            try:
                running.wait_ready()
                running.idle_mib = running.memory_mib()
                yield running
            finally:
                running.signal(signal.SIGCONT)
                running.signal(signal.SIGTERM)  # to all: a server of several processes leaves some behind otherwise
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                running.signal(signal.SIGKILL)
                process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, where there still is one."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def wait_ready(self) -> None:
        """Wait for the health route. Raises SystemExit."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{self.server.ready}", timeout=2) as it:
                    if it.status == 200:
                        return
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f"{self.server.name} did not become ready")

    def settle(self, seconds: float = 10.0) -> None:
        """Wait until it does nothing: what a client left behind would otherwise run in the next turn, and a call that
        is stopped in its middle would look like one that hangs.
        """
        end = time.monotonic() + seconds
        before = self._ticks()
        while time.monotonic() < end:
            time.sleep(0.2)
            now = self._ticks()
            if now - before <= 0.02 * _TICKS:
                return
            before = now

    def stop(self) -> None:
        """Stop the group, once it has settled. Raises SystemExit where a process of the family goes on."""
        self.settle()
        self.signal(signal.SIGSTOP)
        end = time.monotonic() + 2
        while any(_stat(pid)[0] not in "TtZX" for pid in self._family()):
            if time.monotonic() > end:
                raise SystemExit(f"{self.server.name} has a process that does not stop with its group")
            time.sleep(0.01)

    def go_on(self) -> None:
        """Let the group run again, and wait until it answers."""
        self.signal(signal.SIGCONT)
        self.wait_ready()

    def memory_mib(self) -> float:
        """Return the resident memory of the family, in MiB; shared pages count once a process."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._family())
        return pages * os.sysconf("SC_PAGESIZE") / 2**20

    def _ticks(self) -> int:
        return sum(_stat(pid)[1] for pid in self._family())

    def _family(self) -> list[int]:
        """Return the process and its descendants, in whichever group they are."""
        family, rest = [self._process.pid], [self._process.pid]
        while rest:
            parent = rest.pop()
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{parent}/task").iterdir():
                    found = [int(pid) for pid in (task / "children").read_text().split()]
                    family += found
                    rest += found
        return family


def _stat(pid: int) -> tuple[str, int]:
    """Return a process's state and the clock ticks that it has used; ("X", 0) once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[11]) + int(fields[12])
