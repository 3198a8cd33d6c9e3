"""The command line as a session in a folder of one's own: what users of other tools type first."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command, Done, environment


def from_nothing(folder: Path, *words: str) -> Done:
    """Run `ovenbird` in a folder, by an interpreter that has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-m", "ovenbird", *words], cwd=folder, env=environment(),
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def test_compile_without_output_writes_into_artifacts(tmp_path: Path) -> None:
    done = from_nothing(tmp_path, "compile", "networks:tokens", "-b", "1", "-q")
    assert done.code == 0, done.err
    assert done.out.startswith("artifacts/networks-tokens: networks-tokens for host, ")
    document = json.loads((tmp_path / "artifacts/networks-tokens/manifest.json").read_text())
    assert document["model"]["name"] == "networks-tokens"
    done = from_nothing(tmp_path, "inspect", "artifacts/networks-tokens")
    assert "networks-tokens, version 1" in done.out


@pytest.mark.slow
def test_a_name_of_ones_own(tmp_path: Path, ovenbird: Command) -> None:
    words = ("compile", "networks:tokens", "--batch-size", "1", "--name", "tokens.v2", "-q")
    done = ovenbird(*words, folder=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("artifacts/tokens.v2: tokens.v2 for host, ")
    done = from_nothing(tmp_path, "verify", "artifacts/tokens.v2", "--model", "networks:tokens", "-q")
    assert done.code == 0, done.err


def test_a_file_gives_a_name_that_a_route_can_have(ovenbird: Command, network_files: Path, tmp_path: Path) -> None:
    odd = tmp_path / "my net (1):ü%2F.onnx"
    odd.write_bytes((network_files / "fixed.onnx").read_bytes())
    done = ovenbird("compile", odd.name, "-q", folder=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("artifacts/my-net-1-u-2F: my-net-1-u-2F for host, ")


def test_serve_is_the_runtimes_own(compiled: Any, tmp_path: Path) -> None:
    """The server takes the command's place: its signals, its exit code."""
    artifact = compiled("networks:tokens")
    command = [sys.executable, "-m", "ovenbird", "serve", f"tokens={artifact}", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        events = []
        for line in process.stderr:
            events.append(json.loads(line)["event"])
            if events[-1] == "ready":
                break
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert events[-1] == "ready", rest
    assert process.returncode == 0, rest
    assert from_nothing(tmp_path, "serve").code == 2
    assert from_nothing(tmp_path, "serve", "nowhere", "--port", "0").code == 1
    assert "Usage: ovenbird serve" in from_nothing(tmp_path, "serve", "--help").out


def test_serve_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    hidden = (
        "import sys; sys.modules['httptools'] = None\nfrom ovenbird_runtime.cli import main; main(prog_name='ovenbird')"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", "artifact"], cwd=tmp_path, env=environment(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "httptools is not installed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("device", ["CPU", "Cpu:0", " cpu"])
def test_devices_in_any_case(compiled: Any, tmp_path: Path, device: str) -> None:
    artifact = str(compiled("networks:tokens"))
    done = subprocess.run(
        [sys.executable, "-m", "ovenbird_runtime", "bench", artifact, "--device", device, "-b", "1,2", "--iterations",
         "4", "--warmup", "0", "--json"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    timings = json.loads(done.stdout)["timings"]
    assert [(one["batch"], one["calls"]) for one in timings] == [(1, 4), (2, 4)]


@pytest.mark.parametrize("device", ["gpu", "GPU:0", "0"])
def test_a_gpu_is_called_cuda(compiled: Any, tmp_path: Path, device: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ovenbird_runtime", "bench", str(compiled("networks:tokens")), "--device", device],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"device '{device}' is unknown: choose cpu, cuda" in done.stderr
    assert done.stderr.strip().endswith("an NVIDIA GPU is called cuda")
