"""Tuning on a real GPU: every kind of plan computes the same, and a minute of it makes no task slower.

make test TESTS="tests/gpu -m gpu -s"
"""

import json
from pathlib import Path

import pytest

from ovenbird.backends.cuda.dtypes import FloatDtype
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.targets import TargetSpec
from ovenbird_runtime.machine.cuda import Gpu
from support.gpu_plans import build_plans, run_plans

from .conftest import Run

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_plans_agree_with_the_default(
    spec: TargetSpec, environment: dict[str, str], tmp_path: Path, dtype: FloatDtype
) -> None:
    built = build_plans(tmp_path, spec, dtype, find_nvcc(), most=24)
    wrong = run_plans(built, environment)
    assert wrong.keys() == built.plans.keys()
    assert {built.plans[name]: why for name, why in wrong.items() if why} == {}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_minute_of_tuning(gpu: Gpu, spec: TargetSpec, ovenbird: Run, tmp_path: Path, precision: str) -> None:
    if spec.chip != f"sm_{gpu.compute[0]}{gpu.compute[1]}":
        pytest.skip(f"no target is for this very chip ({gpu.name}): tuning refuses it")
    log, common = tmp_path / "log", ("--weights", "random:7", "--batch-sizes", "1", "--precision", precision)
    listed = ovenbird("tune", "resnet18", "--target", spec.name, *common, "--tasks", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    tasks = json.loads(listed.stdout)
    products = ",".join(str(task["index"]) for task in tasks if task["task"].startswith("product"))
    done = ovenbird(
        "tune",
        "resnet18",
        "--target",
        spec.name,
        *common,
        "--tasks",
        products,
        "--time-budget",
        60,
        "-o",
        log,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    facts, made_by = json.loads(done.stdout), json.loads((log / "provenance.json").read_text())
    assert made_by["gpu"]["name"] == gpu.name
    assert facts["trials"] > len(tasks), "no time for more than the defaults"
    times = facts["latency_ms"]["main_b1"]
    print(f"{gpu.name}, resnet18 {precision}: {times['tuned']:.3f} ms tuned, {times['default']:.3f} ms by default, "
          f"{facts['trials']} trials, {facts['failed']} failed")  # fmt: skip
    assert 0 < times["tuned"] <= times["default"]
    assert all(task["best_ms"] <= task["default_ms"] for task in made_by["tasks"] if task["default_ms"] is not None)
    failures = log / "failures.jsonl"
    wrong = (
        [line for line in failures.read_text().splitlines() if "wrong numbers" in line] if failures.is_file() else []
    )
    assert not wrong

    compiled = ovenbird(
        "compile", "resnet18", "--target", spec.name, *common, "--tuning-records", log, "-o", tmp_path / "artifact"
    )
    assert compiled.returncode == 0, compiled.stderr
    assert f"verified for {spec.name} against torch" in compiled.stdout
    assert "stale" not in compiled.stdout
