"""Other processors, for real: ARM's by an emulator, and older ones than this, whose lack is an error and no signal.

ci/steps/container_tests.sh -k emulation            some photographs
ci/steps/container_tests.sh -k emulation -m slow    all hundred: half an hour on two cores
"""

import json
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.verify.photographs import read_photographs
from support.baking import MODEL, ROOT, ovenbird, step
from support.emulation import emulate

PHOTOGRAPH = ROOT / "compile" / "ovenbird" / "data" / "chelsea.jpg"
HOURS = 3600
# Decodes and pre-processes there as well, in compiled code: all that a target does. Its pixels must be Pillow's.
RUN = """
import sys, numpy, ovenbird_runtime
from ovenbird_runtime.preprocess.images import open_image
from ovenbird_runtime.preprocess.interpreted import apply
artifact, output, *photographs = sys.argv[1:]
with ovenbird_runtime.load(artifact, threads=1) as model:
    assert model.target.resample
    for pipeline in model.manifest.preprocess.pipelines.values():
        for path in photographs:
            given = model.preprocessor.apply(pipeline, open_image(path), seed=7)
            numpy.testing.assert_array_equal(given, apply(pipeline, open_image(path), seed=7))
    pipeline = model.manifest.preprocess.pipelines["imagenet"]
    rows = [model.run({"image": model.preprocessor.apply(pipeline, open_image(path))[None]}) for path in photographs]
numpy.savez(output, **{name: numpy.concatenate([row[name] for row in rows]) for name in rows[0]})
"""

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates x86-64 on x86-64")


@pytest.fixture(scope="module")
def arm64() -> Path:
    """A root with an arm64 machine's Python, the runtime, and nothing else."""
    return ROOT / step("env", f"VENV={sys.prefix}", "ci/steps/arm64_root.sh").split()[-1]


def compile_for(output: Path, network: str, *options: str) -> Path:
    step("ci/steps/cross_toolchain.sh")
    ovenbird("compile", network, *options, "--batch-sizes", "1", "--quiet", "--output", str(output))
    return output


@pytest.fixture(scope="module")
def resnet50(real_resnet50: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("arm64") / "resnet50"
    return compile_for(output, "resnet50", "--weights", str(real_resnet50), "--target", "aarch64-generic")


@pytest.fixture(scope="module")
def for_arm64(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_for(tmp_path_factory.mktemp("arm64") / "net", MODEL, "--target", "aarch64-neoverse-n1")


@pytest.fixture(scope="module")
def for_x86(tmp_path_factory: pytest.TempPathFactory) -> Path:
    targets = [word for level in (2, 3, 4) for word in ("--target", f"x86-64-v{level}")]
    return compile_for(tmp_path_factory.mktemp("x86") / "net", MODEL, *targets)


@pytest.mark.parametrize("count", [3, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.timeout(3 * HOURS)
def test_resnet50_on_arm64_classifies_as_torch_does(
    arm64: Path,
    resnet50: Path,
    real_resnet50: Path,
    photographs: tuple[list[Path], list[int]],
    count: int,
    tmp_path: Path,
) -> None:
    files, truth = photographs[0][:count], photographs[1][:count]
    shares = [files[i :: os.cpu_count() or 1] for i in range(min(count, os.cpu_count() or 1))]

    def run(place: int) -> dict[str, Any]:
        output = tmp_path / f"{place}.npz"
        command = [arm64 / "usr/bin/python3", "-c", RUN, resnet50, output, *shares[place]]
        done = emulate("aarch64", "cortex-a53", command, {"PYTHONPATH": ""}, arm64, timeout=2 * HOURS)
        assert done.returncode == 0, done.stderr
        with np.load(output) as arrays:
            return dict(arrays)

    with ThreadPoolExecutor(len(shares)) as pool:
        found = list(pool.map(run, range(len(shares))))
    network = load_network("resnet50", NetworkOptions(weights=str(real_resnet50)))
    for share, arrays in zip(shares, found, strict=True):
        for start in range(0, len(share), 20):
            rows = slice(start, start + 20)
            expected = network.reference({"image": read_photographs(share[rows], network.pipelines["imagenet"])})
            assert (arrays["logits"][rows].argmax(1) == expected["logits"].argmax(1)).all()
            for name, values in expected.items():
                np.testing.assert_allclose(arrays[name][rows], values, rtol=0, atol=1e-3)
    classes = {file: row for share, arrays in zip(shares, found, strict=True) for file, row in
               zip(share, arrays["logits"].argmax(1), strict=True)}  # fmt: skip
    assert np.mean([classes[file] == right for file, right in zip(files, truth, strict=True)]) >= 0.6


def predict(machine: str, cpu: str, python: Path, artifact: Path, root: Path | None = None) -> Any:
    """Three labels of the photograph, or the one line that the runtime ended with."""
    path = "" if root else os.pathsep.join(filter(None, sys.path))
    command = [python, "-m", "ovenbird_runtime.cli", "run", artifact, PHOTOGRAPH, "--top", "3", "--json"]
    done = emulate(machine, cpu, command, {"PYTHONPATH": path}, root)
    if done.returncode:
        assert done.returncode > 0, f"signal {-done.returncode}"
        # the emulator tells of features that it cannot emulate
        lines = [line for line in done.stderr.splitlines() if not line.startswith("qemu-")]
        assert len(lines) == 1, done.stderr
        return lines[0]
    return [one["label"] for one in json.loads(done.stdout)[0]["classes"]["logits"]]


def chosen(machine: str, cpu: str, artifact: Path) -> str:
    """The variant that the runtime takes there."""
    program = "import sys, ovenbird_runtime; print(ovenbird_runtime.load(sys.argv[1], threads=1).target.target)"
    path = os.pathsep.join(filter(None, sys.path))
    done = emulate(machine, cpu, [Path(sys.executable).resolve(), "-c", program, artifact], {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@on_x86
@pytest.mark.parametrize(
    ("cpu", "target"), [("Nehalem", "x86-64-v2"), ("SandyBridge", "x86-64-v2"), ("Haswell", "x86-64-v3")]
)
def test_an_older_processor_takes_what_it_can_run(for_x86: Path, cpu: str, target: str) -> None:
    assert chosen("x86_64", cpu, for_x86) == target
    here = json.loads(ovenbird("run", str(for_x86), str(PHOTOGRAPH), "--top", "3", "--json"))
    expected = [one["label"] for one in here[0]["classes"]["logits"]]
    assert predict("x86_64", cpu, Path(sys.executable).resolve(), for_x86) == expected


@on_x86
@pytest.mark.parametrize(
    ("cpu", "targets", "error", "lacks"),
    [
        ("Nehalem", ["x86-64-v3"], "MissingCpuFeatures", "avx2"),
        ("SandyBridge", ["x86-64-v3"], "MissingCpuFeatures", "avx2"),
        ("Haswell", ["x86-64-v4"], "MissingCpuFeatures", "avx512f"),
        ("Nehalem", ["x86-64-v3", "x86-64-v4"], "NoVariant", "avx2"),
    ],
)
def test_an_older_processor_refuses_what_it_lacks(
    tmp_path: Path, cpu: str, targets: list[str], error: str, lacks: str
) -> None:
    artifact = compile_for(tmp_path / "net", MODEL, *(word for target in targets for word in ("--target", target)))
    message = predict("x86_64", cpu, Path(sys.executable).resolve(), artifact)
    assert isinstance(message, str), f"ran on {cpu}: {message}"
    assert message.startswith(f"error: {error}: ")
    assert lacks in message


def test_neoverse_code_is_refused_on_an_older_arm(arm64: Path, for_arm64: Path) -> None:
    python = arm64 / "usr/bin/python3"
    message = predict("aarch64", "cortex-a53", python, for_arm64, arm64)
    assert isinstance(message, str), message
    assert message.startswith("error: MissingCpuFeatures: ")
    assert "asimddp" in message
    assert "tabby" in predict("aarch64", "neoverse-n1", python, for_arm64, arm64)


@on_x86
def test_code_for_arm64_is_refused_here(for_arm64: Path) -> None:
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "run", str(for_arm64), str(PHOTOGRAPH)]
    with pytest.raises(AssertionError, match="error: WrongArchitecture: "):
        step(*command)
