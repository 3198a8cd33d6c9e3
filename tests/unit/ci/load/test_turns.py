"""What a turn of `ab` counts as an answer: `ab` itself asks a server that answers some requests badly."""

import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from asking import Turn, pool, read_turn, requests_for, run_ab
from servers import Server

pytestmark = pytest.mark.alone
needs_ab = pytest.mark.skipif(shutil.which("ab") is None, reason="no ab (apache2-utils)")
ANSWER_SECONDS = 0.012


class Handler(BaseHTTPRequestHandler):
    """Answers after a while; on /refusing each fourth request is refused, on /silent closed without a word."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    count = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            Handler.count += 1
            fourth = Handler.count % 4 == 0
        if fourth and self.path == "/silent":
            self.close_connection = True
            return
        status = 503 if self.path == "/down" or (fourth and self.path == "/refusing") else 200
        if status == 200:
            time.sleep(ANSWER_SECONDS)
        self.wfile.write(
            b"HTTP/1.1 %d x\r\nContent-Length: 2\r\nConnection: %s\r\n\r\nok"
            % (status, b"close" if self.path == "/closing" else b"keep-alive")
        )
        self.close_connection = self.path == "/closing"

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    Handler.count = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, path: str, folder: Path) -> Turn:
    body = folder / "body"
    body.write_bytes(b"picture")
    return run_ab(Server("it", [], port, path, "/"), body, concurrency=1, count=40, folder=folder)


@needs_ab
@pytest.mark.parametrize("path", ["/ok", "/closing"])
def test_answers_have_a_time_each(port: int, tmp_path: Path, path: str) -> None:
    turn = ask(port, path, tmp_path)
    assert (turn.requests, turn.failed, len(turn.times_ms)) == (40, 0, 40)
    assert turn.times_ms == sorted(turn.times_ms)
    assert turn.times_ms[0] >= ANSWER_SECONDS * 1000 - 1
    assert turn.per_second == pytest.approx(40 / turn.seconds)


@needs_ab
@pytest.mark.parametrize("path", ["/refusing", "/silent"])
def test_a_failure_is_no_fast_answer(port: int, tmp_path: Path, path: str) -> None:
    turn = ask(port, path, tmp_path)
    assert turn.requests == 40
    assert 8 <= turn.failed <= 12  # `ab` asks again where a kept connection was closed
    assert len(turn.times_ms) == 40 - turn.failed
    assert turn.times_ms[0] >= ANSWER_SECONDS * 1000 - 1
    assert turn.per_second == pytest.approx((40 - turn.failed) / turn.seconds)


@needs_ab
def test_no_answer_at_all_ends_the_run(port: int, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no answer of it"):
        ask(port, "/down", tmp_path)


REPORT = """\
Time taken for tests:   2.000 seconds
Complete requests:      6
Failed requests:        {failed}
   (Connect: 0, Receive: 1, Length: 0, Exceptions: 0)
Non-2xx responses:      {refused}
"""
TABLE = "starttime\tseconds\tctime\tdtime\tttime\twait\n" + "".join(
    f"Sat Nov 21 16:52:49 2026\t1795279969\t0\t{time}\t{time}\t{wait}\n"
    for time, wait in ((0, 0), (2, 1), (16, 16), (17, 17), (29, 28), (40, 0))
)


@pytest.mark.parametrize(
    ("failed", "refused", "times"),
    [
        (0, 0, [2, 16, 17, 29]),  # two without a first byte, which `ab -l` counts as answers
        (1, 2, [16, 17, 29]),
        (3, 9, []),  # a server that is gone fails more often than it is asked
    ],
)
def test_reading_leaves_out_what_failed(failed: int, refused: int, times: list[int]) -> None:
    turn = read_turn(REPORT.format(failed=failed, refused=refused), TABLE)
    assert turn == Turn(2.0, 6, 6 - len(times), times)


def test_pooled_turns_are_one() -> None:
    pooled = pool([Turn(1.0, 3, 1, [5, 9]), Turn(3.0, 5, 0, [1, 6, 7, 8, 9])])
    assert pooled == Turn(4.0, 8, 1, [1, 5, 6, 7, 8, 9, 9])
    assert pooled.per_second == 7 / 4


@pytest.mark.parametrize(
    ("seconds", "rate", "concurrency", "count"),
    [(1, 55, 1, 100), (3, 55, 1, 165), (1, 55, 16, 112), (1, 55, 64, 192), (1, 900, 64, 960)],
)
def test_a_turn_holds_whole_waves(seconds: float, rate: float, concurrency: int, count: int) -> None:
    assert requests_for(seconds, rate, concurrency) == count
