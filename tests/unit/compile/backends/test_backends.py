"""The seam between the compiler and a kind of processor: one table, one protocol, the code between passes by name."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import tvm
from tvm import relax

from ovenbird.backends.building import build_module
from ovenbird.backends.table import BACKENDS
from ovenbird.lowering.dumping import FILES
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.process.children import python_process
from ovenbird.targets import TargetSpec, load_target, target_folders
from ovenbird_runtime.machine.devices import DEVICES


def network(rows: int) -> tvm.IRModule:
    """A matrix product with constant weights and a ReLU behind it, as it is imported."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((rows, 8), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            product = builder.emit(relax.op.matmul(x, relax.const([[0.5] * 24] * 8, "float32")))
            result = builder.emit_output(relax.op.nn.relu(product))
        builder.emit_func_output(result)
    return builder.get()


def test_every_target_has_a_backend() -> None:
    kinds = {load_target(name).kind for name in target_folders()}
    assert kinds <= BACKENDS.keys()
    assert set(get_args(get_type_hints(TargetSpec, localns={"tvm": tvm})["kind"])) == BACKENDS.keys()


@pytest.mark.parametrize(("kind", "precision"), [("cuda", "f16"), ("llvm", "f16")])
def test_what_code_is_held_to_is_the_backend_s(kind: str, precision: str) -> None:
    assert BACKENDS[kind].precision("f16") == precision
    assert BACKENDS[kind].precision("f32") == "f32"


def test_what_a_backend_does_not_compute_in_it_takes_its_default_for() -> None:
    assert {kind: backend.precision("int8") for kind, backend in BACKENDS.items()} == {"llvm": "int8", "cuda": "f32"}
    assert {kind: backend.precision("bf16") for kind, backend in BACKENDS.items()} == {"llvm": "bf16", "cuda": "f32"}


def test_every_backend_has_its_device() -> None:
    assert {DEVICES[backend.device].code: backend for backend in BACKENDS.values()} == BACKENDS


def test_asking_the_table_loads_no_compiler() -> None:
    code = "import sys, ovenbird.backends.precisions; print([m for m in ('tvm', 'numpy', 'torch') if m in sys.modules])"
    assert python_process(["-c", code]).stdout == "[]\n"


def test_the_code_between_the_passes_is_dumped(tmp_path: Path) -> None:
    build_module({EntryKey(batch=batch): network(batch) for batch in (1, 3)}, load_target("x86-64-v3"), dump=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES) - {"model.cu"}
    read = {path.name: path.read_text() for path in tmp_path.iterdir()}
    for name in ("prepared.relax", "walked.relax", "fused.relax", "lowered.relax"):
        assert "def main_b1(" in read[name]
        assert "def main_b3(" in read[name]
    assert "R.matmul" in read["prepared.relax"]
    assert "R.matmul" not in read["walked.relax"]
    assert "R.nn.relu" in read["walked.relax"]
    assert "R.nn.relu" not in read["fused.relax"]
    assert "weight_0" in read["lowered.relax"]
    assert "T.parallel" not in read["fused.tir"]
    assert "T.unroll" in read["scheduled.tir"]
