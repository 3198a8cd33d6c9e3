"""A machine that has run out of something: file descriptors, room on its disk."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from support.reporting import Report
from support.serving import Serving

URL = "/v1/models/tiny:predict"


def test_full_disk_under_the_log_is_survived(tiny: Path, jpeg: bytes, report: Report) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "serve", str(tiny), "--port", str(port)]
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(command, env=environment, stdout=full, stderr=full) as process,
    ):
        try:
            end = time.monotonic() + 30
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert time.monotonic() < end
                time.sleep(0.1)
            server = Serving.__new__(Serving)
            server.port = port
            while server.request("GET", "/v2/health/ready")[0] != 200:
                assert time.monotonic() < end
                time.sleep(0.1)
            answered = sum(server.request("POST", URL, jpeg)[0] == 200 for _ in range(100))
            dropped = server.metric("ovenbird_log_lines_dropped_total")
        finally:
            process.terminate()
        code = process.wait(20)
    report("full-disk", answered=answered, of=100, code=str(code))
    assert answered == 100
    assert dropped > 0
    assert code == 0


def test_few_descriptors_are_survived(tiny: Path, jpeg: bytes, report: Report) -> None:
    limited = ("bash", "-c", 'ulimit -n 64; exec "$@"', "bash")
    with Serving.start(tiny, prefix=limited) as server:
        sockets = [server.connect() for _ in range(100)]
        time.sleep(0.5)
        for sock in sockets:
            sock.close()
        time.sleep(0.5)
        status = server.request("POST", URL, jpeg)[0]
        report("descriptors", connections=len(sockets), status=str(status))
        assert status == 200
        assert server.process.poll() is None
