"""Starting, draining, swapping, dying: whole processes, under requests."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from support.reporting import Report
from support.serving import Serving
from support.tiny_artifact import copy_tiny, reseal

URL = "/v1/models/tiny:predict"


class Clients:
    """Threads that send one picture over and over; every answer counts."""

    def __init__(self, server: Serving, jpeg: bytes, count: int) -> None:
        self._server, self._jpeg = server, jpeg
        self.statuses: list[int] = []
        self.versions: set[str] = set()
        self.lost: list[BaseException] = []
        self.refused = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                sock = self._server.connect()
            except ConnectionRefusedError:
                self.refused += 1
                return
            with sock:
                head = (
                    f"POST {URL} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(self._jpeg)}\r\n\r\n"
                )
                try:
                    sock.sendall(head.encode() + self._jpeg)
                    answer = b""
                    while chunk := sock.recv(65536):
                        answer += chunk
                    body = json.loads(answer.partition(b"\r\n\r\n")[2])
                    self.statuses.append(int(answer.split(b" ", 2)[1]))
                    self.versions.add(body.get("version", ""))
                except (OSError, ValueError, IndexError) as error:
                    self.lost.append(error)
                    return

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


def test_sigterm_under_load_loses_nothing(tiny: Path, jpeg: bytes, report: Report) -> None:
    with Serving.start(tiny) as server:
        clients = Clients(server, jpeg, 8)
        time.sleep(1)
        code = server.stop()
        clients.stop()
        lost = len(clients.lost) + sum(status != 200 for status in clients.statuses)
        report("sigterm", answered=len(clients.statuses), lost=lost, code=str(code))
        assert code == 0
        assert clients.lost == []
        assert set(clients.statuses) == {200}
        assert len(clients.statuses) > 50
        assert clients.refused == 8
        states = [line["state"] for line in server.events("state")]
        assert states == ["ready", "draining", "stopped"]


def test_draining_is_not_ready_but_live(tiny: Path) -> None:
    with Serving.start(tiny) as server, server.connect() as busy, server.connect() as idle:
        busy.sendall(b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{")
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        while not any(line["state"] == "draining" for line in server.events("state")):
            time.sleep(0.01)
        idle.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = idle.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"draining"' in answer
        assert b"Connection: close" in answer
        busy.sendall(b"}")
        assert busy.recv(4096).startswith(b"HTTP/1.1 400")  # the request that was on its way is answered
        busy.close()
        assert server.process.wait(10) == 0


def test_second_signal_stops_at_once(tiny: Path) -> None:
    with Serving.start(tiny) as server, server.connect() as busy:
        busy.sendall(b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 128 + signal.SIGTERM


def test_signal_while_starting_ends_the_server(tiny: Path) -> None:
    with Serving.start(tiny, ready=False) as server:
        server.wait_for("listening")
        assert server.stop(20) == 0


def test_server_is_live_before_it_is_ready(tiny: Path) -> None:
    with Serving.start(tiny, ready=False) as server:
        server.wait_for("listening")
        status, _ = server.json("GET", "/v2/health/live")
        assert status == 200
        state = server.json("GET", "/status")[1]["state"]
        if state == "starting":
            assert server.json("GET", "/v2/models/tiny/ready")[0] in (200, 503)
        server.wait_for("ready")
        assert server.json("GET", "/v2/health/ready")[0] == 200


def test_kill_and_restart_on_the_same_port(tiny: Path, jpeg: bytes, report: Report) -> None:
    with Serving.start(tiny) as server:
        clients = Clients(server, jpeg, 4)
        time.sleep(0.3)
        server.process.kill()
        server.process.wait()
        clients.stop()
        port, start = server.port, time.monotonic()
        with Serving.start(tiny, "--port", port, ready=False) as again:
            again.wait_for("ready")
            status = again.request("POST", URL, jpeg)[0]
            report("kill", holds=status == 200, seconds=time.monotonic() - start)
            assert status == 200


def newer(artifact: Path, version: str) -> None:
    reseal(artifact, lambda m: dataclasses.replace(m, model=dataclasses.replace(m.model, version=version)))


@pytest.mark.parametrize("watched", [False, True])
def test_new_version_is_swapped_in_without_losing_a_request(tmp_path: Path, jpeg: bytes, watched: bool) -> None:
    artifact = copy_tiny(tmp_path)
    current = tmp_path / "current"
    current.symlink_to(artifact)
    with Serving.start(current, *(["--watch"] if watched else [])) as server:
        clients = Clients(server, jpeg, 4)
        time.sleep(0.3)
        second = Path(shutil.copytree(artifact, tmp_path / "second"))
        newer(second, "2")
        (tmp_path / "next").symlink_to(second)
        (tmp_path / "next").replace(current)
        if not watched:
            server.process.send_signal(signal.SIGHUP)
        assert server.wait_for("reloaded")["version"] == "2"
        time.sleep(0.3)
        clients.stop()
        assert clients.lost == []
        assert set(clients.statuses) == {200}
        assert clients.versions == {"1", "2"}
        assert server.json("GET", "/v2/models/tiny")[1]["versions"] == ["2"]
        assert server.metric("ovenbird_reloads_total") == 1


def test_broken_new_version_leaves_the_old_one(tmp_path: Path, jpeg: bytes) -> None:
    artifact = copy_tiny(tmp_path)
    with Serving.start(artifact) as server:
        (artifact / "manifest.json").write_text("{}")
        server.process.send_signal(signal.SIGHUP)
        assert server.wait_for("reload_failed")["type"] == "ManifestInvalid"
        assert server.request("POST", URL, jpeg)[0] == 200
        assert server.json("GET", "/v2/health/ready")[0] == 200


def test_version_that_is_not_there_leaves_the_old_one_and_is_logged(tmp_path: Path, jpeg: bytes) -> None:
    artifact = copy_tiny(tmp_path)
    with Serving.start(artifact) as server:
        artifact.rename(tmp_path / "elsewhere")
        server.process.send_signal(signal.SIGHUP)
        assert server.wait_for("reload_failed")["model"] == "tiny"
        assert server.metric("ovenbird_reloads_total") == 1
        assert server.request("POST", URL, jpeg)[0] == 200


def test_hangup_while_loading_is_kept_for_later(tiny: Path) -> None:
    with Serving.start(tiny, ready=False) as server:
        server.wait_for("listening")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("ready")
        assert server.wait_for("reloaded")["model"] == "tiny"


def test_reloads_leak_no_threads_and_no_descriptors(tmp_path: Path, jpeg: bytes) -> None:
    artifact = copy_tiny(tmp_path)
    with Serving.start(artifact) as server:
        figures: list[tuple[int, int]] = []
        for round_ in range(12):
            server.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 20
            while len(server.events("reloaded")) <= round_ and time.monotonic() < end:
                time.sleep(0.02)
            assert server.request("POST", URL, jpeg)[0] == 200
            time.sleep(0.2)
            # The old version goes after its last request: its files are closed soon, not at once.
            usual = min((files for _, files in figures), default=0)
            while figures and server.descriptors() > usual and time.monotonic() < end:
                time.sleep(0.02)
            figures.append((server.threads(), server.descriptors()))
        # Some threads that load models stay for the next time, up to a number that the machine decides.
        threads, descriptors = zip(*figures, strict=True)
        assert max(threads[8:]) <= max(threads[:8]) + 1, figures
        assert max(descriptors[2:]) <= max(descriptors[:2]) + 1, figures


@pytest.mark.parametrize("what", ["missing", "broken", "port", "name"])
def test_what_cannot_start_says_why_in_one_line(tmp_path: Path, tiny: Path, what: str) -> None:
    artifact = copy_tiny(tmp_path)
    arguments: list[object] = [artifact]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if what == "missing":
            arguments = [tmp_path / "nothing"]
        elif what == "broken":
            (artifact / "targets/tiny/model.so").write_bytes(b"")
        elif what == "name":
            arguments = [artifact, tiny]
        else:
            arguments = [artifact, "--host", "203.0.113.7"]
        with Serving.start(*arguments, ready=False) as server:
            assert server.process.wait(30) == 1
            server._reader.join()
            text = [line["text"] for line in server.events("text")]
    assert len(text) == 1, text
    assert text[0].split(":")[0] == "error"
    assert text[0].split(":")[1].strip() in {"ArtifactNotFound", "FileChanged", "StartFailed"}


def test_two_models_under_names(tmp_path: Path, tiny: Path, jpeg: bytes) -> None:
    with Serving.start(f"one={tiny}", f"two={tiny}") as server:
        for name in ("one", "two"):
            status, _, body = server.request("POST", f"/v1/models/{name}:predict", jpeg)
            assert status == 200
            assert json.loads(body)["model"] == name
