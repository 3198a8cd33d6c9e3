"""What the tests of the C++ runtime share: its commands, built once a session, and artifacts compiled for them."""

from __future__ import annotations

import atexit
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.real_data import photographs, test_data
from support.warm import Warm

__all__ = ["photographs", "test_data"]

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ROOT / "tests" / "e2e"
"""Where `networks.py` is."""


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@cache
def build(*options: str) -> Path:
    """Build the C++ runtime; return the folder with its commands. Skips where there is no toolchain."""
    script = str(ROOT / "ci" / "steps" / "native.sh")
    missing = subprocess.run([script, "--need"], capture_output=True, text=True, check=False)
    if missing.returncode != 0:
        pytest.skip(missing.stderr.strip().removeprefix("error: "))
    done = subprocess.run([script, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kind = "fuzz" if options == ("--fuzz",) else options[1] if options else ""
    return ROOT / "build" / ("native" + (f"-{kind.replace(',', '-')}" if kind else ""))


def run(command: Path, *arguments: str | Path, **environment: str) -> Done:
    """Run a command of the build."""
    done = subprocess.run(
        [str(command), *map(str, arguments)],
        capture_output=True, text=True, timeout=600, check=False, env=os.environ | environment,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def native() -> Command:
    """Run `ovenbird-run`."""
    command = build() / "ovenbird-run"
    return lambda *arguments, **environment: run(command, *arguments, **environment)


@cache
def warm() -> Warm:
    """Return the process that has imported torch and TVM once, for all that is compiled here; it ends with them."""
    process = Warm()
    atexit.register(process.__exit__)
    return process


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile a network once a session, or a run of the suite, in a process of its own; return the folder."""
    shared = Path(os.environ.get("OVENBIRD_TEST_RUN") or tmp_path_factory.mktemp("native"))

    @cache
    def artifact(network: str, *options: str) -> Path:
        if find_spec("tvm") is None:
            pytest.skip("no compiler here")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        folder = shared / "-".join(("native", network.replace(":", "-"), *options)).replace("/", "-")
        with locked(folder.with_suffix(".lock")):
            if not folder.is_dir():
                words = ["compile", network, *options, "-o", str(folder)]
                done = warm().run(words, NETWORKS, environment)
                assert done.returncode == 0, done.stderr
        return folder

    return artifact


@pytest.fixture(scope="session")
def detector(compiled: Callable[..., Path]) -> Path:
    """Return an artifact of two inputs and two outputs, for batches of 1 and 4, which nobody may change."""
    return compiled("networks:detector", "--batch-sizes", "1,4")


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Build the package `ovenbird_native`; skips where there is no toolchain."""
    script = str(ROOT / "ci" / "steps" / "native_wheel.sh")
    missing = subprocess.run([script, "--need"], capture_output=True, text=True, check=False)
    if missing.returncode != 0:
        pytest.skip(missing.stderr.strip().removeprefix("error: "))
    done = subprocess.run([script, sys.executable], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ROOT / done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the installed wheel."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*command, str(wheel)], check=True)
    return folder


def python(site: Path, code: str, *arguments: str | Path, **environment: str) -> str:
    """Run code with the package at hand; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
