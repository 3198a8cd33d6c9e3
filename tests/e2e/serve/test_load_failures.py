"""`ovenbird-rt load` ends, whatever becomes of its own processes and of the server; it prints what was measured, and
why it ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.serving import Serving

BOUND = 90  # seconds: a hang, not a measurement
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "ovenbird_runtime", "load", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def children(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that send, without multiprocessing's own helper."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [pid for pid in map(int, found) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_for_children(process: subprocess.Popen[str], count: int) -> list[int]:
    end = time.monotonic() + 30
    while len(found := children(process)) < count:
        assert time.monotonic() < end, "the generator's processes have not come"
        time.sleep(0.02)
    return found


def result(process: subprocess.Popen[str]) -> tuple[int, str, list[str]]:
    """Wait for the end: the exit code, what was printed, and the error's lines."""
    out, err = process.communicate(timeout=BOUND)
    assert "Traceback" not in err, err
    return process.returncode, out, err.splitlines()


class Fake:
    """A server that answers each connection with a function of its own."""

    def __init__(self, answer: Callable[[socket.socket, int], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._answer, self._open = answer, list[socket.socket]()
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = b""
                while b"\r\n\r\n" not in data:
                    if not (part := sock.recv(65536)):
                        return
                    data += part
                head, _, body = data.partition(b"\r\n\r\n")
                lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
                length = int(lengths[0].split(b":")[1]) if lengths else 0
                while len(body) < length:
                    body += sock.recv(65536)
                self.requests += 1
                self._answer(sock, self.requests)

    def close(self) -> None:
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


@contextlib.contextmanager
def fake(answer: Callable[[socket.socket, int], None]) -> Iterator[Fake]:
    server = Fake(answer)
    try:
        yield server
    finally:
        server.close()


def good(sock: socket.socket, count: int) -> None:
    sock.sendall(GOOD)


@pytest.mark.parametrize("when", ["at the start", "under way"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_worker_that_dies(number: signal.Signals, when: str) -> None:
    with fake(good) as server, started(server.url, "--model", "a", "-w", 2, "-t", 2, "-i", 600) as process:
        victim = wait_for_children(process, 2)[1]
        while when == "under way" and server.requests < 20:
            time.sleep(0.02)
        time.sleep(1.0 if when == "under way" else 0.0)  # for a report
        os.kill(victim, number)
        code, out, errors = result(process)
        assert code == 1
        assert len(errors) == 1
        assert errors[0].startswith(f"error: WorkerDied: worker 1 died by signal {int(number)}; ")
        assert "good/s" in out
        if when == "under way":
            assert int(out.splitlines()[1].split()[2]) > 0  # requests answered before


def test_every_worker_dies_and_json_is_whole() -> None:
    with fake(good) as server, started(server.url, "--model", "a", "-w", 2, "-s", 10**6, "--json") as process:
        victims = wait_for_children(process, 2)
        while server.requests < 20:
            time.sleep(0.02)
        time.sleep(1.0)  # for a report
        os.kill(process.pid, signal.SIGSTOP)  # or it may end the second worker itself, as the first is dead
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        os.kill(process.pid, signal.SIGCONT)
        code, out, errors = result(process)
        assert (code, len(errors)) == (1, 1)
        assert json.loads(out)["runs"][0]["good"] > 0


def test_a_worker_that_is_stopped() -> None:
    program = (
        "import ovenbird_runtime.load_test.workers as w; w.LOAD_STALL_SECONDS = 3.0;"
        "from ovenbird_runtime.load_test.command import load; load()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with fake(good) as server:
        command = [sys.executable, "-c", program, server.url, "--model", "a", "-w", "2", "-i", "600"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        try:
            victim = wait_for_children(process, 2)[0]
            while server.requests < 20:
                time.sleep(0.02)
            os.kill(victim, signal.SIGSTOP)
            code, out, errors = result(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (code, len(errors)) == (1, 1)
    assert "worker 0 has not been heard of" in errors[0]
    assert "good/s" in out


def test_workers_end_with_their_parent() -> None:
    with fake(good) as server, started(server.url, "--model", "a", "-w", 2, "-i", 600) as process:
        workers = wait_for_children(process, 2)
        while server.requests < 20:
            time.sleep(0.02)
        process.kill()
        process.wait()
        end = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() and "Z" not in state_of(pid) for pid in workers):
            assert time.monotonic() < end, "a worker outlived its parent"
            time.sleep(0.05)


def state_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


def test_a_server_that_dies(tiny: Path) -> None:
    with Serving.start(tiny) as server, started(f"http://127.0.0.1:{server.port}", "-w", 2, "-i", 3) as process:
        wait_for_children(process, 2)
        while server.metric("ovenbird_requests_total") < 20:
            time.sleep(0.02)
        server.process.kill()
        code, out, errors = result(process)
    assert (code, len(errors)) == (1, 1)
    assert errors[0].startswith("error: ServerSilent: the server at 127.0.0.1:")
    assert "none:" in out


def hang(sock: socket.socket, count: int) -> None:
    if count <= 5:
        good(sock, count)
    else:
        time.sleep(600)


def garbage(sock: socket.socket, count: int) -> None:
    sock.sendall(b"\x16\x03\x01 not HTTP at all\r\n\r\n" * 10)


def close(sock: socket.socket, count: int) -> None:
    sock.shutdown(socket.SHUT_RDWR)


def cut(sock: socket.socket, count: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
    sock.shutdown(socket.SHUT_RDWR)


def endless(sock: socket.socket, count: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        sock.sendall(bytes(65536))


def drip(sock: socket.socket, count: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        sock.sendall(b" ")
        time.sleep(0.05)


def drip_headers(sock: socket.socket, count: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"a")
        time.sleep(0.05)


PLANS = [(answer, ("-s", 100_000)) for answer in (hang, garbage, close, cut, endless, drip, drip_headers)]
PLANS += [(answer, ("-i", 2, "--rate", 20)) for answer in (hang, garbage, drip_headers)]
PLANS += [(answer, ("-i", 1, "--slo-ms", 100)) for answer in (hang, close)]


@pytest.mark.parametrize(("answer", "plan"), PLANS)
def test_a_server_that_does_not_answer(answer: Callable[[socket.socket, int], None], plan: tuple[object, ...]) -> None:
    options = ("--model", "a", "-t", 2, "--answer-seconds", 1, *plan)
    with fake(answer) as server, started(server.url, *options) as process:
        code, out, errors = result(process)
    assert (code, len(errors)) == (1, 1)
    assert errors[0].startswith("error: ServerSilent: the server at 127.0.0.1:")
    assert "good/s" in out
    assert "none:" in out


@pytest.mark.parametrize("answer", [hang, garbage, close, endless, drip])
def test_a_server_that_names_no_model(answer: Callable[[socket.socket, int], None]) -> None:
    def never(sock: socket.socket, count: int) -> None:
        answer(sock, count + 5)

    with fake(never) as server, started(server.url) as process:
        code, out, errors = result(process)
    assert (code, out, len(errors)) == (1, "", 1)
    assert errors[0].startswith("error: WrongOption: ")
    assert errors[0].endswith("give --model")


def test_no_server_with_a_model_named() -> None:
    with started("http://127.0.0.1:9", "--model", "a", "-i", 1) as process:
        code, _, errors = result(process)
    assert (code, len(errors)) == (1, 1)
    assert errors[0].startswith("error: ServerSilent: ")


def test_a_server_that_fails_now_and_then_is_measured() -> None:
    def moody(sock: socket.socket, count: int) -> None:
        if count % 3 == 0:
            sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        elif count % 7 == 0:
            close(sock, count)
        else:
            good(sock, count)

    with fake(moody) as server, started(server.url, "--model", "é/ü\n", "-t", 2, "-s", 50, "--json") as process:
        code, out, errors = result(process)
    assert (code, errors) == (0, [])
    statuses = json.loads(out)["runs"][0]["statuses"]
    assert sum(statuses.values()) == 100
    assert statuses["200"] > 20
    assert statuses["503"] > 20


def test_an_interrupted_run_ends_in_one_line() -> None:
    with fake(good) as server, started(server.url, "--model", "a", "-w", 2, "-i", 600) as process:
        workers = wait_for_children(process, 2)
        while server.requests < 20:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        code, _, errors = result(process)
        assert code == 1
        assert errors[-1:] == ["Aborted!"], errors
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
