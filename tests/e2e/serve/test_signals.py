"""Signals at every moment of the server's life: none is lost, and none but the second of two ends it untidily.

Nothing can be caught before Python runs any code, a few hundredths of a second after exec: until then the system does
as it does with every process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.serving import Serving
from support.tiny_artifact import copy_tiny

BOUND = 60  # seconds: a hang, not a measurement
DELAYS = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.2, 1.5]
STOPPED_AT_ONCE = 128 + signal.SIGTERM


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process catches a signal (proc(5), SigCgt)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


@contextlib.contextmanager
def starting(*arguments: object, delay: float = 0.0) -> Iterator[Serving]:
    """Start a server; go on `delay` seconds after the moment when Python's first line of ours has run."""
    with Serving.start(*arguments, ready=False) as server:
        begun = time.monotonic()
        while not catches(server.process.pid, signal.SIGHUP):
            assert time.monotonic() - begun < BOUND
            assert server.process.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        yield server


def texts(server: Serving) -> list[str]:
    server._reader.join(BOUND)
    return [line["text"] for line in server.events("text")]


@pytest.mark.parametrize(
    ("delay", "number"), [*((delay, signal.SIGTERM) for delay in DELAYS), (0.0, signal.SIGINT), (0.4, signal.SIGINT)]
)
def test_a_stop_while_starting(tiny: Path, delay: float, number: signal.Signals) -> None:
    with starting(tiny, delay=delay) as server:
        server.process.send_signal(number)
        assert server.process.wait(BOUND) == 0
        assert texts(server) == []


@pytest.mark.parametrize("delay", DELAYS)
def test_a_reload_while_starting(tiny: Path, delay: float) -> None:
    with starting(tiny, delay=delay) as server:
        server.process.send_signal(signal.SIGHUP)
        assert server.wait_for("reloaded", BOUND)["model"] == "tiny"
        events = [line["event"] for line in server.lines]
        assert events.index("ready") < events.index("reloaded")
        assert server.json("GET", "/v2/health/ready")[0] == 200
        assert server.stop(BOUND) == 0
        assert texts(server) == []


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_both_signals_while_starting_end_the_server(tiny: Path, delay: float) -> None:
    for first, second in itertools.permutations((signal.SIGHUP, signal.SIGTERM)):
        with starting(tiny, delay=delay) as server:
            server.process.send_signal(first)
            server.process.send_signal(second)
            assert server.process.wait(BOUND) == 0
            assert texts(server) == []


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_two_stops_while_starting(tiny: Path, delay: float) -> None:
    with starting(tiny, delay=delay) as server:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.01)  # the system keeps one of two that wait
        with contextlib.suppress(ProcessLookupError):
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(BOUND) in (0, STOPPED_AT_ONCE)  # it may have stopped before the second
        assert texts(server) == []


def test_many_reloads_while_starting_and_serving(tiny: Path) -> None:
    with starting(tiny) as server:
        for _ in range(300):
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        server.wait_for("reloaded", BOUND)
        assert server.stop(BOUND) == 0
        assert texts(server) == []


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_a_stop_during_a_reload(tiny: Path, delay: float) -> None:
    with Serving.start(tiny) as server:
        server.process.send_signal(signal.SIGHUP)
        time.sleep(delay)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(BOUND) == 0
        assert [line["state"] for line in server.events("state")][-1:] == ["stopped"] or server._reader.is_alive()
        assert texts(server) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signals_during_the_end(tiny: Path, number: signal.Signals) -> None:
    """Up to the very last moment: a reload is of no use any more, a second stop stops at once."""
    with Serving.start(tiny) as server:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.005)
        while server.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                server.process.send_signal(number)
            time.sleep(0.002)
        # A second stop in the very last steps of Python's own end finds no handler any more, and is as good.
        expected = {0} if number == signal.SIGHUP else {0, STOPPED_AT_ONCE, -signal.SIGTERM}
        assert server.process.returncode in expected
        assert texts(server) == []


def test_a_stop_does_not_wait_for_a_model_that_is_being_loaded(tmp_path: Path, tiny: Path) -> None:
    """Fifty of them take seconds; the server stops in one."""
    names = [f"m{i}={tiny}" for i in range(50)]
    with Serving.start(*names, ready=False) as server:
        server.wait_for("listening")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(BOUND)
        assert server.process.returncode == 0
        assert not server.events("ready")


def test_the_first_process_of_a_container(tiny: Path) -> None:
    """The system ignores signals that the first process of a namespace does not catch."""
    unshare = shutil.which("unshare")
    prefix = (unshare or "", "--pid", "--fork", "--kill-child", "--mount-proc")
    if unshare is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of processes can be made here (unshare --pid)")
    for delay, number in itertools.product((0.0, 0.2, 0.5), (signal.SIGTERM, signal.SIGHUP)):
        with Serving.start(tiny, ready=False, prefix=prefix) as server:
            begun = time.monotonic()
            while not (inner := children_of(server.process.pid)) or not catches(inner[0], signal.SIGHUP):
                assert time.monotonic() - begun < BOUND
                time.sleep(0.001)
            time.sleep(delay)
            os.kill(inner[0], number)
            if number == signal.SIGHUP:
                server.wait_for("reloaded", BOUND)
                os.kill(inner[0], signal.SIGTERM)
            assert server.process.wait(BOUND) == 0


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("command", ["bench", "load"])
def test_other_commands_end(tiny: Path, command: str, delay: float, number: signal.Signals) -> None:
    """They end as the system's default would end them, but as a container's first process too, and clear away."""
    arguments = ["bench", str(tiny), "--seconds", "600"]
    if command == "load":
        arguments = ["load", "http://127.0.0.1:9", "--model", "a", "-w", "2", "-i", "600"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "ovenbird_runtime", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        begun = time.monotonic()
        while not catches(process.pid, signal.SIGHUP):
            assert time.monotonic() - begun < BOUND
            time.sleep(0.001)
        time.sleep(delay)
        workers = children_of(process.pid)
        process.send_signal(number)
        _, output = process.communicate(timeout=BOUND)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "Traceback" not in output
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers if catches(pid, signal.SIGINT))


def test_nohup_is_respected(tiny: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = ["nohup", sys.executable, "-m", "ovenbird_runtime", "bench", str(tiny), "--seconds", "2", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    for _ in range(20):
        time.sleep(0.1)
        process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=BOUND)
    assert process.returncode == 0
    assert b"timings" in out


def test_a_server_without_standard_streams(tmp_path: Path) -> None:
    """As a daemon is started: no descriptor of its own is taken for a stream's."""
    artifact = copy_tiny(tmp_path)
    with Serving.start(artifact, prefix=("bash", "-c", 'exec "$@" <&- >&-', "bash")) as server:
        assert server.json("GET", "/v2/health/ready")[0] == 200
        assert server.stop(BOUND) == 0
