"""What the compiler refuses: one line that names the error, an exit code, and an output folder as it was."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["resnet51"], 2, "UnknownNetwork: unknown model 'resnet51'; did you mean resnet50"),
        (["resnet18", "--target", "hots"], 2, "UnknownTarget: unknown target 'hots'; did you mean host?"),
        (["resnet18", "--weights", "none.pth"], 1, "WeightsUnavailable: weights none.pth: no file there"),
        (["resnet18", "--weights", "conftest.py"], 1, "WeightsUnreadable: weights conftest.py: not a state_dict"),
        (["resnet18", "--weights", "random:x"], 2, "UsageError: --weights random:x"),
        (["networks:tokens", "--weights", "random:-1"], 2, "UsageError: --weights random:-1"),
        (["networks:spectrum"], 1, "UnsupportedOperator: no import for the operator aten._linalg_svd (networks.py:"),
        (["networks:broken"], 1, "NetworkUnreadable: networks:broken: RuntimeError: the weights server is down (net"),
        (["networks:nothing"], 1, "NetworkUnreadable: networks:nothing returned nothing: end it with `return net`"),
        (["networks:absent"], 1, "NetworkUnreadable: networks:absent: networks has no 'absent'; it has"),
        (["no_such_module:net"], 1, "NetworkUnreadable: no_such_module:net: no module 'no_such_module': searched"),
        (["absent.pt2"], 1, "NetworkUnreadable: absent.pt2: no file there"),
        (["absent.onnx"], 1, "NetworkUnreadable: absent.onnx: no file there"),
        (
            ["networks:tokens", "--preprocess", "imagenet"],
            2,
            "UsageError: pre-processing is for networks with one input, of images",
        ),
        (["networks:tokens", "--input-shapes", "x:[1,4]"], 2, "UsageError: --input-shapes: no input 'x'"),
        (["networks:tokens", "--output-names", "a"], 2, "UsageError: --output-names gives 1 names, the network has 2"),
        (["networks:tokens", "--output-names", "a,a"], 2, "UsageError: two tensors are named 'a'"),
        (["networks:detector", "--tolerance", "1e-30"], 1, "VerificationFailed: output classes is off by"),
        (["networks:tokens", "--batch-sizes", "0"], 2, "UsageError: --batch-sizes '0'"),
        (["networks:tokens", "--dump-code", "relay"], 2, "UsageError: --dump-code 'relay'; did you mean relax?"),
        (["networks:tokens", "--tuning-records", "none-there"], 2, "UsageError: --tuning-records none-there"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_refused_in_one_line(ovenbird: Any, tmp_path: Path, arguments: list[str], code: int, error: str) -> None:
    done = ovenbird("compile", *arguments, "-q", "-o", tmp_path / "artifact")
    assert done.error.startswith(f"error: {error}"), done.err
    assert done.code == code
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_network_are_named(ovenbird: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.ones(64, 3, 3, 3), "stem.weight": torch.ones(1)}, path)
    done = ovenbird("compile", "resnet18", "--weights", path, "-q", "-o", tmp_path / "artifact")
    assert done.code == 1
    assert done.error.startswith("error: WeightsMismatch: ")
    assert "missing bn1.weight, bn1.bias, bn1.running_mean and" in done.error
    assert "unknown stem.weight" in done.error
    assert "conv1.weight is 64x3x3x3, expected 64x3x7x7" in done.error


def test_an_output_folder_that_is_not_ours_is_refused(ovenbird: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = ovenbird("compile", "networks:tokens", "-q", "-o", tmp_path)
    assert (done.code, done.error.startswith("error: OutputError: ")) == (1, True)
    done = ovenbird("compile", "networks:tokens", "-q", "-o", "/proc/artifact")
    assert (done.code, done.error.startswith("error: OutputError: ")) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("limit_bytes", [20_000, pytest.param(500, marks=pytest.mark.slow)])
def test_a_full_disk_leaves_nothing(ovenbird: Any, tmp_path: Path, limit_bytes: int) -> None:
    def limit() -> None:  # the kernel refuses to let any file of the process grow beyond it
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    done = ovenbird("compile", "networks:detector", "-q", "-o", tmp_path / "artifact", preexec_fn=limit)
    assert done.code == 1
    assert done.error.startswith("error: DiskFull: "), done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
def test_a_full_file_system_leaves_nothing(ovenbird: Any, tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        done = ovenbird("compile", "networks:detector", "-q", "-o", tmp_path / "artifact")
        assert done.code == 1
        assert done.error.startswith("error: DiskFull: "), done.err
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.slow  # test_interrupted.py has others
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "artifact"
    command = [sys.executable, "-m", "ovenbird", "compile", "networks:detector", "-o", str(output)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(command, cwd=HERE, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "writing host" in line:
                break
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(number)
        error = process.stderr.read()
    assert process.returncode == 1, error
    assert error.strip().splitlines()[-1] == "error: interrupted; nothing was left behind"
    assert list(tmp_path.iterdir()) == []
