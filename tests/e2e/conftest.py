"""What the end-to-end tests share: the command line as a process, and artifacts compiled once a session."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.real_data import photographs, real_resnet50, test_data
from support.warm import Warm

__all__ = ["photographs", "real_resnet50", "test_data"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that a failed command ends with."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


Command = Callable[..., Done]


def environment() -> dict[str, str]:
    """Return the environment of a process that imports what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *(path for path in sys.path if path)])}


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """The process that has imported torch and TVM once for all commands."""
    with Warm() as process:
        yield process


@pytest.fixture(scope="session")
def ovenbird(warm: Warm) -> Command:
    """Run `ovenbird` in a process of its own, in the folder of `networks.py`; from nothing where it has options."""

    def run(*arguments: str | Path, folder: Path = HERE, **options: object) -> Done:
        words = list(map(str, arguments))
        if not options:
            done = warm.run(words, folder, environment())
        else:
            done = subprocess.run(
                [sys.executable, "-m", "ovenbird", *words], cwd=folder, env=environment(),
                capture_output=True, text=True, timeout=600, check=False,
                **options,  # type: ignore[call-overload]
            )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def compiled(ovenbird: Command, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile a network once a session and return the artifact's folder."""
    found: dict[tuple[str, ...], Path] = {}

    def artifact(*arguments: str | Path) -> Path:
        key = tuple(map(str, arguments))
        if key not in found:
            output = tmp_path_factory.mktemp("artifacts") / "artifact"
            done = ovenbird("compile", *arguments, "-o", output)
            assert done.code == 0, done.err
            found[key] = output
        return found[key]

    return artifact


@pytest.fixture(scope="session")
def network_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the detector as .pt2 and .onnx files."""
    folder = tmp_path_factory.mktemp("networks")
    command = [sys.executable, "-W", "ignore", "networks.py", str(folder)]
    subprocess.run(command, cwd=HERE, env=environment(), check=True, capture_output=True, timeout=300)
    return folder
