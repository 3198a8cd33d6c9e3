"""A model loaded before `fork`, as servers with a preloaded application and pools of processes have it: the children
end at once, say what is wrong where they use it, and the parent's goes on.

A child used to wait a minute for threads that it does not have; the time-outs here are half of that.
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
from importlib.util import find_spec
from pathlib import Path

import pytest

BOUND = 30  # seconds
HEAD = """
import concurrent.futures, functools, multiprocessing, os, signal, sys, threading, time, numpy, ovenbird_runtime
fork = multiprocessing.get_context("fork")
model = ovenbird_runtime.load(sys.argv[1], threads=2)
x = {"image": numpy.zeros((3, 3, 32, 32), "float32")}
expected = model.run(x)["logits"]

def use(_=None):
    try:
        return model.run(x)["logits"].shape[0]
    except ovenbird_runtime.OvenbirdError as error:
        return type(error).__name__

def load_again(_=None):
    with ovenbird_runtime.load(sys.argv[1], threads=1) as mine:
        return bool(numpy.array_equal(mine.run(x)["logits"], expected))

def run(target):
    child = fork.Process(target=target)
    child.start()
    child.join()
    return child.exitcode
"""
TAIL = """
assert numpy.array_equal(model.run(x)["logits"], expected)
print("the parent's model works")
"""
# name -> (what the parent does, what is printed)
CHILDREN = {
    "returns": ("print(run(lambda: None))", "0"),
    "exits": ("print(run(lambda: sys.exit(3)))", "3"),
    "leaves": ("print(run(lambda: os._exit(4)))", "4"),
    "raises": ("sys.stderr = open(os.devnull, 'w'); print(run(lambda: 1 / 0))", "1"),
    "closes it": ("print(run(lambda: model.close()))", "0"),
    "forks again": ("print(run(lambda: sys.exit(run(lambda: sys.exit(5)))))", "5"),
    "uses it": ("print(run(lambda: sys.exit(use() == 'EngineForked' and 6)))", "6"),
    "loads its own": ("print(run(lambda: sys.exit(load_again() and 7)))", "7"),
    "is terminated": (
        "c = fork.Process(target=time.sleep, args=(600,))\nc.start(); c.terminate(); c.join(); print(c.exitcode)",
        "-15",
    ),
    "of a pool of processes": (
        "with concurrent.futures.ProcessPoolExecutor(2, mp_context=fork) as pool:\n"
        "    print(sorted(set(pool.map(use, range(8)))), list(pool.map(abs, (-1, -2))))", "['EngineForked'] [1, 2]",
    ),
    "of a pool of processes, with its own": (
        "with concurrent.futures.ProcessPoolExecutor(2, mp_context=fork) as pool:\n"
        "    print(set(pool.map(load_again, range(4))))", "{True}",
    ),
    "of multiprocessing's pool": (
        "with fork.Pool(2) as pool:\n    print(set(pool.map(use, range(8))))\npool.join()", "{'EngineForked'}",
    ),
    "while others call": (
        "stop = threading.Event()\n"
        "def call():\n    while not stop.is_set(): model.run(x)\n"
        "threads = [threading.Thread(target=call) for _ in range(3)]\n"
        "[t.start() for t in threads]\n"
        "print({run(lambda: sys.exit(use() == 'EngineForked' and 8)) for _ in range(10)})\n"
        "stop.set(); [t.join() for t in threads]", "{8}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("child", CHILDREN)
def test_a_child_leaves_the_parents_model_working(tiny: Path, child: str) -> None:
    program, printed = CHILDREN[child]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # Python warns of any fork of a process with threads; that the runtime copes with it is what is tested
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HEAD + program + TAIL, str(tiny)],
        capture_output=True, text=True, timeout=BOUND, check=False, env=environment,
    )  # fmt: skip
    assert result.stderr == ""
    assert result.stdout.splitlines() == [printed, "the parent's model works"]


APPLICATION = """
import json, os, numpy, ovenbird_runtime

ARTIFACT = os.environ["ARTIFACT"]
X = {"image": numpy.zeros((1, 3, 32, 32), "float32")}
early = ovenbird_runtime.load(ARTIFACT, threads=1)  # when the application is imported: with --preload, before fork
late = None

def answer(model):
    try:
        return model.run(X)["logits"].tolist()
    except ovenbird_runtime.OvenbirdError as error:
        return type(error).__name__

def application(environ, start_response):
    global late
    late = late or ovenbird_runtime.load(ARTIFACT, threads=1)
    body = json.dumps({"early": answer(early), "late": answer(late)}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed (extra test)")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("preload", [True, False])
def test_gunicorns_workers_answer_and_end(tiny: Path, tmp_path: Path, preload: bool, number: signal.Signals) -> None:
    (tmp_path / "web.py").write_text(APPLICATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(tmp_path), *(path for path in sys.path if path))), "ARTIFACT": str(tiny),
    }  # fmt: skip
    options = ["--workers", "2", "--bind", f"127.0.0.1:{port}", *(["--preload"] if preload else [])]
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", *options, "web:application"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        answers = [ask(f"http://127.0.0.1:{port}/", process) for _ in range(6)]
        process.send_signal(number)
        _, output = process.communicate(timeout=BOUND)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    assert "SIGKILL" not in output  # which gunicorn sends to workers that do not end
    for answer in answers:
        assert isinstance(answer["late"], list)
        assert answer["early"] == ("EngineForked" if preload else answer["late"])


def ask(url: str, process: subprocess.Popen[str]) -> dict[str, object]:
    end = time.monotonic() + BOUND
    while True:
        try:
            with urllib.request.urlopen(url, timeout=BOUND) as response:
                found: dict[str, object] = json.loads(response.read())
                return found
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
