"""`.pt2` files from strangers: whatever they try to run when they are read does not run."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ovenbird.errors import NetworkUnreadable, NetworkUnsafe
from ovenbird.networks.pt2.expressions import check_expression
from ovenbird.networks.pt2.program import check_operator
from ovenbird.networks.pt2.reading import read_program
from ovenbird.networks.torch.steady import steady_torch
from ovenbird.networks.torch.tracing import Traced
from ovenbird.networks.user.callables import read_pt2
from support.hostile_programs import HOSTILE, SILENCED, Hostile, Small, write_honest

BY_TORCH = """
import sys, torch
for path in sys.argv[1:]:
    try:
        program = torch.export.load(path)
        args, kwargs = program.example_inputs
        program.module()(*args, **kwargs)
    except Exception as error:
        print(path, repr(error)[:300])
"""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("honest") / "net.pt2"
    with steady_torch():
        write_honest(path)
    return path


def read_and_run(path: Path) -> None:
    net, examples = read_pt2(path)
    with torch.no_grad():
        net(**examples)


def test_an_honest_program_needs_no_trust(honest: Path) -> None:
    net, examples = read_pt2(honest)
    assert list(examples) == ["x", "scale"]
    torch.manual_seed(0)
    own = Small().eval()
    with torch.no_grad():
        np.testing.assert_array_equal(net(**examples)["answer"], own(examples["x"], scale=examples["scale"])["answer"])
    assert Traced.of(net, examples).batched == (True, False)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_program_hides_is_refused(honest: Path, tmp_path: Path, name: str) -> None:
    path, marker = tmp_path / "net.pt2", tmp_path / "it-ran"
    HOSTILE[name].write(honest, path, marker)
    with pytest.raises((NetworkUnsafe, NetworkUnreadable), match=r"net\.pt2"):
        read_and_run(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", SILENCED)
def test_what_compiling_does_not_need_is_left_out(honest: Path, tmp_path: Path, name: str) -> None:
    path, marker = tmp_path / "net.pt2", tmp_path / "it-ran"
    SILENCED[name].write(honest, path, marker)
    read_and_run(path)
    assert not marker.exists()


def test_torch_itself_runs_them(honest: Path, tmp_path: Path) -> None:
    """A control: without it, these programs might only be broken."""
    runs = [(name, one) for name, one in {**HOSTILE, **SILENCED}.items() if one.runs]
    assert len(runs) >= 8
    paths = {name: tmp_path / f"{index}.pt2" for index, (name, _) in enumerate(runs)}
    for name, one in runs:
        one.write(honest, paths[name], paths[name].with_suffix(".it-ran"))
    command = [sys.executable, "-c", BY_TORCH, *map(str, paths.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    broken = [name for name, path in paths.items() if not path.with_suffix(".it-ran").exists()]
    assert broken == [], done.stdout + done.stderr


def test_trust_reads_what_is_refused_otherwise(honest: Path, tmp_path: Path) -> None:
    path, marker = tmp_path / "net.pt2", tmp_path / "it-ran"
    HOSTILE["pickled weight"].write(honest, path, marker)
    with pytest.raises(NetworkUnsafe, match="--trust"):
        read_program(path)
    assert not marker.exists()
    with pytest.raises(NetworkUnreadable):  # the weight is no tensor, in the end
        read_pt2(path, trust=True)
    assert marker.exists()


def test_a_member_twice_is_refused(honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(honest.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(next(name for name in archive.namelist() if name.endswith("model.json")), "{}")
    with pytest.raises(NetworkUnsafe, match="two members"):
        read_program(path)


def test_a_compressed_member_is_refused(honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(honest) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    with pytest.raises(NetworkUnsafe, match="compressed"):
        read_program(path)


def test_a_compressed_member_of_the_examples_is_refused(honest: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1_000_000))
    Hostile(lambda members, _: members.update({"data/sample_inputs/model.pt": buffer.getvalue()}), False).write(
        honest, tmp_path / "net.pt2", tmp_path
    )
    with pytest.raises(NetworkUnsafe, match="compressed"):
        read_program(tmp_path / "net.pt2")


@pytest.mark.parametrize("name", ["../model.json", "/etc/model.json", "net/../../x", "other/models/model.json"])
def test_a_member_outside_of_the_folder_is_refused(honest: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(honest.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(NetworkUnreadable, match="not in one folder"):
        read_program(path)


@pytest.mark.parametrize("size", [2**62, 10**30, -1, True, 1.5, None])
def test_a_size_that_nothing_has_is_refused(honest: Path, tmp_path: Path, size: object) -> None:
    def change(members: dict[str, bytes], _: Path) -> None:
        document = json.loads(members["data/weights/model_weights_config.json"])
        next(iter(document["config"].values()))["tensor_meta"]["sizes"] = [{"as_int": size}, {"as_int": 4}]
        members["data/weights/model_weights_config.json"] = json.dumps(document).encode()

    Hostile(change, False).write(honest, tmp_path / "net.pt2", tmp_path)
    with pytest.raises(NetworkUnreadable):
        read_and_run(tmp_path / "net.pt2")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"[" * 100_000, b"not a program"])
def test_what_is_no_program_is_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pt2").write_bytes(content)
    with pytest.raises(NetworkUnreadable, match=r"net\.pt2"):
        read_program(tmp_path / "net.pt2")


@pytest.mark.parametrize("graph", [b"[" * 100_000, b"{}", b"[]", b"\xff", b'{"a": NaN', b"1" * 10_000])
def test_a_graph_that_is_none_is_unreadable(honest: Path, tmp_path: Path, graph: bytes) -> None:
    Hostile(lambda members, _: members.update({"models/model.json": graph}), False).write(
        honest, tmp_path / "net.pt2", tmp_path
    )
    with pytest.raises((NetworkUnreadable, NetworkUnsafe)):
        read_program(tmp_path / "net.pt2")


@pytest.mark.parametrize("seed", range(60))
def test_changed_bytes_give_a_typed_error_or_a_program(honest: Path, tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    data = bytearray(honest.read_bytes())
    for place in draw.integers(0, len(data), 3):
        data[place] = draw.integers(0, 256)
    (tmp_path / "net.pt2").write_bytes(data)
    with contextlib.suppress(NetworkUnreadable, NetworkUnsafe):
        read_program(tmp_path / "net.pt2")


@pytest.mark.parametrize(
    "text",
    [
        "Symbol('s77', positive=True, integer=True)",
        "Add(FloorDiv(Add(Symbol('s77', positive=True, integer=True), Integer(-1)), Integer(2)), Integer(1))",
        "Pow(Symbol('s0'), Integer(2))",
        "s0*(s1 // 2) + 3",
        "s0**2 + 1",
        "Eq(Mod(s0, 2), 0)",
        "Float('2.0', precision=53)",
        "int_oo",
    ],
)
def test_arithmetic_on_symbols_is_taken(text: str) -> None:
    check_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "(", "s0.real", "s0[0]", "lambda: 0", "[s0]", "{s0}", "f'{s0}'", "s0 if s0 else 1", "print(1)",
        "Symbol('s0', cls=print)", "Symbol(*s0)", "__import__('os')", "exec('1')", "Symbol('a b')", "2 ** s0",
        "9 ** 99", "(9**8)**8", "s0 << 9",
        "Symbol('s0').__class__", "（s0）", "s0\n", "Pow(2, s0)",
        "Pow(2, 9)", "Pow(b=2, e=99)", "Float('1', precision=99)",
        "(yield)", "(s0 := 1)", "sympify('1')", "eval", "1" * 1001, "Integer(1j)", "factorial(9999)", "s0!",
    ],
)  # fmt: skip
def test_more_than_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(NetworkUnsafe, match="dimension"):
        check_expression(text)


@pytest.mark.parametrize(
    "target",
    ["torch.ops.aten.conv2d.default", "torch.ops.aten._to_copy.default", "_operator.mul", "math.ceil", "torch.sym_int",
     "torch.ops.higher_order.wrap_with_set_grad_enabled"],
)  # fmt: skip
def test_operators_on_tensors_are_taken(target: str) -> None:
    check_operator(target)


@pytest.mark.parametrize(
    "target",
    ["", "torch.os.system", "torch.load", "torch.hub.load", "torch.ops.load_library", "torch.ops.aten.add.op",
     "torch.ops.aten.add", "torch.ops.aten.__class__.mro", "torch.ops.aten._dir.append",
     "torch.ops.aten.from_file.default",
     "torch.ops.aten.from_file.out", "torch.ops.aten.save.default", "torch.ops.prim.Print.default",
     "torch.ops.higher_order.triton_kernel_wrapper_functional", "torch.ops.higher_order.call_torchbind",
     "_operator.attrgetter", "_operator.methodcaller", "_operator.call", "_operator.pow", "math.factorial",
     "#registered",
     "os.system", "builtins.eval", "torch.ops.aten.relu.default\n", "torch.ops.aten.relu.default; import os",
     "torch.ops.aten.relu.default.__globals__"],
)  # fmt: skip
def test_other_callables_are_refused(target: str) -> None:
    with pytest.raises(NetworkUnsafe, match="it calls"):
        check_operator(target)
