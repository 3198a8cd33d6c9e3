"""The plan does what TVM's virtual machine does: the same kernels in the same order, the same outputs bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.artifact.inspection import inspect_artifact
from ovenbird_runtime.artifact.plan import PLAN
from ovenbird_runtime.text import inspection_lines
from support.bare_kernels import NEEDED, OFFERED

TESTS = Path(__file__).resolve().parents[1]
Compiled = Callable[..., Path]


def compare(artifact: Path) -> dict[str, Any]:
    """Run the plan without TVM and the virtual machine in turn, in a process of their own."""
    done = subprocess.run(
        [sys.executable, TESTS / "support" / "plan_runner.py", artifact],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["planned"] == found["compiled"]
    assert all(found["same"]), found
    assert all(found["pictures"]), found
    return found


@pytest.mark.parametrize("network", ["detector", "tokens", "fixed", "images"])
def test_small_networks_give_the_same_bits_by_their_plan(compiled: Compiled, network: str) -> None:
    found = compare(compiled(f"networks:{network}"))
    outputs = {"detector": 2, "tokens": 2}.get(network, 1)
    assert len(found["same"]) == 2 * outputs * len(found["compiled"])


@pytest.mark.slow
def test_efficientnet_lite0_gives_the_same_bits_by_its_plan(compiled: Compiled) -> None:
    found = compare(compiled("efficientnet-lite0"))
    assert found["compiled"] == [1, 8]
    assert len(found["same"]) == 8  # two batch sizes, two inputs, two outputs
    assert len(found["pictures"]) >= 2
    assert found["launches"] > 0
    assert 3e6 < found["arena_bytes"][0] < 5e6, "the widest images, between joined kernels, are not in it"
    assert 7 < found["arena_bytes"][1] / found["arena_bytes"][0] < 9


@pytest.mark.slow
def test_resnet18_gives_the_same_bits_by_its_plan(compiled: Compiled) -> None:
    found = compare(compiled("resnet18", "--weights", "random:3", "--batch-sizes", "1"))
    assert len(found["same"]) == 4


def test_the_code_asks_a_runner_for_no_more_than_the_documentation_says(compiled: Compiled) -> None:
    with (compiled("networks:detector") / "targets" / "host" / "model.so").open("rb") as file:
        symbols = list(ELFFile(file).get_section_by_name(".dynsym").iter_symbols())
    weak = {symbol.name for symbol in symbols if symbol["st_info"]["bind"] == "STB_WEAK"}
    needed = {symbol.name for symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF"} - weak - {""}
    assert "TVMFFIErrorSetRaisedFromCStrParts" in needed
    assert needed <= NEEDED
    pointers = {symbol.name for symbol in symbols if symbol.name.startswith("__TVM")}
    assert pointers <= OFFERED


def test_the_plan_is_a_file_of_the_artifact_and_inspect_says_so(compiled: Compiled) -> None:
    artifact = compiled("networks:detector")
    assert f"targets/host/{PLAN}" in open_artifact(artifact).manifest.files
    found = inspect_artifact(artifact)
    entry = found["variants"][0]["plan"][0]
    assert (entry["program"], entry["batch"], entry["size"]) == ("main", 1, [])
    assert entry["calls"] > 1
    assert entry["arena_bytes"] % 64 == 0
    line = f"plan main batch 1: {entry['calls']} calls, arena {entry['arena_bytes'] / 1e6:.2f} MB"
    assert any(line in text for text in inspection_lines(found))


def test_a_program_that_needs_tvm_has_no_plan(ovenbird: Any, tmp_path: Path) -> None:
    """A GPU's, and it says why; one whose kernels call TVM is in the planner's own tests."""
    artifact = tmp_path / "artifact"
    done = ovenbird("compile", "networks:tokens", "--target", "cuda-sm90", "--batch-sizes", "1", "-o", artifact)
    if done.error.startswith("error: NoCudaCompiler"):
        pytest.skip(done.error)
    assert done.code == 0, done.err
    assert "cuda-sm90: no plan for a runtime without TVM: a GPU's kernels are launched by TVM's" in done.out
    assert not (artifact / "targets" / "cuda-sm90" / PLAN).exists()
    assert any("plan none" in text for text in inspection_lines(inspect_artifact(artifact)))
