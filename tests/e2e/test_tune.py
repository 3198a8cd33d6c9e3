"""`ovenbird tune` as a user meets it: a run that is killed and goes on, a run over RPC, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import HERE, Command, environment

pytestmark = pytest.mark.slow

RECORDS = "database_tuning_record.json"
TUNE = ("tune", "networks:detector", "--batch-sizes", "1", "--no-choices")


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def wait_for(what: object, seconds: float = 240.0) -> None:
    assert callable(what)
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)


def workers(parent: int) -> set[int]:
    """The worker processes that know `parent` as theirs."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
        except OSError:
            continue
        if b"ovenbird.measure.worker_main" in command and str(parent).encode() in command:
            found.add(int(folder.name))
    return found


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ovenbird", *map(str, arguments)],
        cwd=HERE,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_killed_run_goes_on_and_compile_uses_its_records(ovenbird: Command, tmp_path: Path) -> None:
    log = tmp_path / "log"
    killed = start(*TUNE, "--trials", "500", "-o", log)
    wait_for(lambda: lines(log / RECORDS) >= 6)
    left = workers(killed.pid)
    killed.kill()
    killed.communicate()
    assert left
    wait_for(lambda: not workers(killed.pid), 10.0)
    kept = (log / RECORDS).read_bytes()
    whole = kept[: kept.rfind(b"\n") + 1]

    interrupted = start(*TUNE, "--trials", "500", "-o", log)
    wait_for(lambda: lines(log / RECORDS) > lines_of(whole) + 1)  # a torn line, ended, is no record
    interrupted.send_signal(signal.SIGINT)
    _, output = interrupted.communicate(timeout=180)
    assert interrupted.returncode == 1
    assert f"every record is kept in {log}" in output.splitlines()[-1]
    assert "Traceback" not in output

    trials = json.loads((log / "provenance.json").read_text())["trials"] + 3
    done = ovenbird(*TUNE, "--trials", trials, "-o", log)
    assert done.code == 0, done.err
    assert f"{log}: {trials} trials" in done.out
    assert "main_b1: " in done.out
    assert f"{trials}/{trials} trials" in done.err  # one plain line a step, as this is no terminal
    assert (log / RECORDS).read_bytes().startswith(whole)

    artifact = tmp_path / "artifact"
    compiled = ovenbird("compile", "networks:detector", "--batch-sizes", "1", "--tuning-records", log, "-o", artifact)
    assert compiled.code == 0, compiled.err
    assert "0 by default schedules" in compiled.out
    assert "stale" not in compiled.out
    facts = json.loads((artifact / "manifest.json").read_text())["tuning"]["host"]
    assert facts["tuned"] > 0
    assert facts["records"]["trials"] == trials


def lines_of(content: bytes) -> int:
    return content.count(b"\n")


WITHOUT_TORCH = """
import runpy, sys
from ovenbird.measure.tvm_alone import import_tvm_alone
import_tvm_alone()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def service(*arguments: str) -> Iterator[None]:
    """One of TVM's own RPC programs, ended with all its children; it needs no torch, most of the time of its start."""
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


BOTH_THERE = """
import sys, time
from ovenbird.measure.tvm_alone import import_tvm_alone
import_tvm_alone()
from tvm import rpc
tracker = rpc.connect_tracker("127.0.0.1", int(sys.argv[1]))
while tracker.text_summary().count("server:bench") < 2:
    time.sleep(0.1)
"""


def wait_for_both(tracker: str) -> None:
    """Ask TVM's own tracker until it knows two devices."""
    subprocess.run([sys.executable, "-c", BOTH_THERE, tracker], env=environment(), check=True, timeout=240)


def test_two_devices_share_the_work(ovenbird: Command, tmp_path: Path) -> None:
    pytest.importorskip("tornado", reason="RPC needs tornado: pip install '.[rpc]'")
    port = str(free_port())
    first, second = free_port(), free_port()
    device = ("tvm.exec.rpc_server", "--tracker", f"127.0.0.1:{port}", "--key", "bench", "--host", "127.0.0.1")
    with (
        service("tvm.exec.rpc_tracker", "--host", "127.0.0.1", "--port", port, "--port-end", str(int(port) + 1)),
        service(*device, "--port", str(first), "--port-end", str(first + 1)),
        service(*device, "--port", str(second), "--port-end", str(second + 1)),
    ):
        wait_for_both(port)
        log = tmp_path / "log"
        address = f"127.0.0.1:{port}"
        done = ovenbird(*TUNE, "--trials", 16, "--rpc-tracker", address, "--rpc-key", "bench", "-o", log, "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["trials"] == 16
        used = json.loads((log / "provenance.json").read_text())["devices"]
        assert len(used) == 2, used
        assert sum(used.values()) == 16
        unknown = ovenbird(*TUNE, "--rpc-tracker", address, "--rpc-key", "toaster", "-o", tmp_path / "other")
        assert unknown.code == 1
        assert "has no device 'toaster'; it has bench" in unknown.error


def test_what_cannot_be_tuned_is_said_in_a_line(ovenbird: Command, tmp_path: Path) -> None:
    listed = ovenbird(*TUNE, "--tasks", "list")
    assert listed.code == 0
    assert "conv2d 1x" in listed.out
    assert "MFLOP" in listed.out
    nobody = ovenbird(*TUNE, "--rpc-tracker", f"127.0.0.1:{free_port()}", "--rpc-key", "x", "-o", tmp_path / "log")
    assert nobody.code == 1
    assert "no RPC tracker answers" in nobody.error
    keyless = ovenbird(*TUNE, "--rpc-tracker", "127.0.0.1:9190")
    assert (keyless.code, "--rpc-key" in keyless.error) == (2, True)
    lost = ovenbird(*TUNE, "--tasks", "99", "-o", tmp_path / "log")
    assert (lost.code, "matches none of" in lost.error) == (2, True)
