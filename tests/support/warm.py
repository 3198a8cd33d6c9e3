"""`ovenbird` in a process that has torch and TVM already: most of a small compile is their import.

with Warm() as warm:
    done = warm.run(["compile", "networks:detector", "-o", "artifact"], folder, environment)     # a CompletedProcess

One process imports them, and forks for each command a child that is it: own arguments, folder, environment, output and
exit code, as `python -m ovenbird` has. What a start from nothing may change (imports, hash seeds, signals, limits) is
tested by processes that start from nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = (
    "torch._dynamo", "torch.export._trace", "torch._functorch.aot_autograd", "torch._inductor.fx_passes",
    "torch._inductor.compiler_bisector", "numpy.ma", "multiprocessing.synchronize", "cyclonedx.output.json", "onnx",
    "license_expression", "cyclonedx.model.bom", "cyclonedx.contrib.license.factories", "tvm.relax.frontend.torch",
    "tvm.relax.frontend.onnx", "tvm.s_tir.meta_schedule", "ovenbird.cli.compile", "ovenbird.cli.verify",
    "ovenbird.cli.tune", "ovenbird.api.request", "ovenbird.compiling", "ovenbird.console.describe",
    "ovenbird.loading.load", "ovenbird.networks.pt2.program", "ovenbird.networks.torch.source",
    "ovenbird.networks.user.callables", "ovenbird.tuning.session", "ovenbird.backends.building",
    "ovenbird.backends.cpu.compiler", "ovenbird.trust.sbom", "ovenbird.linking.library",
    "ovenbird.networks.torchvision", "ovenbird.passes.quantized.emit_dots", "ovenbird.quantize.quantizing",
    "ovenbird_runtime.artifact.variant",
)  # fmt: skip
LONGEST_REQUEST = 1 << 16
MOST_DESCRIPTORS = 8
FREE_FROM = 100
"""No descriptor that a process is given has this number or more."""
LIMIT_S = 600.0


class Warm:
    """The process that forks, and the way to it."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Start it; what is read when a process starts (LD_LIBRARY_PATH) is the same for all commands."""
        self.turn = threading.Lock()
        self.way, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "support.warm", str(theirs.fileno())],
                env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, which waits for a request."""
        self.way.close()
        self.process.kill()
        self.process.wait()

    def run(
        self, arguments: Sequence[str], folder: Path, environment: dict[str, str], limit_s: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end. Raises subprocess.TimeoutExpired after `limit_s`, when it is killed."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            given = {1: out.fileno(), 2: err.fileno()}
            child = self.start("ovenbird", arguments, folder, environment, given)
            try:
                code = child.wait(limit_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(["ovenbird", *arguments], code, out.read(), err.read())

    def start(
        self, module: str, arguments: Sequence[str], folder: Path, environment: dict[str, str], given: dict[int, int]
    ) -> Child:
        """Start `python -m module` when the one before has ended; `given`: its descriptors, by the numbers it knows."""
        request = {"module": module, "arguments": list(arguments), "folder": str(folder), "environment": environment}
        document = json.dumps({**request, "places": list(given)}).encode()
        self.turn.acquire()  # given back by `Child.wait`
        socket.send_fds(self.way, [document], list(given.values()))
        return Child(self, int(self._answer(LIMIT_S)))

    def _answer(self, limit_s: float) -> bytes:
        self.way.settimeout(limit_s)
        answer = self.way.recv(LONGEST_REQUEST)
        if not answer:
            raise RuntimeError("the process that forks has ended")
        return answer


class Child:
    """A process that was forked, as `subprocess.Popen` shows one."""

    def __init__(self, warm: Warm, pid: int) -> None:
        self.warm, self.pid = warm, pid
        self.code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code. Raises subprocess.TimeoutExpired."""
        if self.code is None:
            try:
                self.code = int(self.warm._answer(timeout or LIMIT_S))
            except TimeoutError:
                raise subprocess.TimeoutExpired("a forked process", timeout or LIMIT_S) from None
            self.warm.turn.release()
        return self.code

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def serve(way: socket.socket) -> None:
    """Fork for each request; return in the parent when no more come, and in no child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        for name in IMPORTED:
            importlib.import_module(name)
        rehearse()
    gc.freeze()  # a search for circles in a child would look at all of it, and copy its pages
    while True:
        request, descriptors, _, _ = socket.recv_fds(way, LONGEST_REQUEST, MOST_DESCRIPTORS)
        if not request:
            return
        child = os.fork()
        if child == 0:
            way.close()
            become(json.loads(request), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        way.send(str(child).encode())
        way.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def rehearse() -> None:
    """Import a network as a compile does, and read a function in TVM's script: what torch and TVM find out at the first
    of either (tables, sources of modules) is known to all children. It starts no thread, which no child would have.
    """
    importlib.import_module("tqdm").tqdm.monitor_interval = 0  # a thread of torch's progress bars
    torch = importlib.import_module("torch")
    program = torch.export.export(torch.nn.Conv2d(1, 1, 1), (torch.ones(1, 1, 1, 1),))
    importlib.import_module("ovenbird.networks.torch.importer").import_exported(program)
    importlib.import_module("ovenbird.operators.resampling").resampling_kernel()


def become(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Be `python -m MODULE` from here on."""
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, FREE_FROM) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for place, descriptor in zip(request["places"], aside, strict=True):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["folder"]
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    sys.argv = [request["module"], *request["arguments"]]
    code: object = None
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    # What an end by Python would add is freeing torch and TVM, which copies their pages first: 1.5 s.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
