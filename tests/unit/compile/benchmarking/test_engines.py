"""Engines are found by name; what is not installed is named with the way to install it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ovenbird.benchmarking.engines import FILES, INSTALL_HINT, PEERS, TORCH_ENGINES, _torch, find_engine, parse_peers
from ovenbird.benchmarking.jobs import Job
from ovenbird.benchmarking.running import installed_peers
from ovenbird.errors import NoPeers, UsageError
from ovenbird_runtime.machine.versions import __version__
from ovenbird_runtime.manifest.agreement import Precision


@pytest.mark.parametrize("name", FILES)
def test_every_engine_knows_its_own_name(name: str) -> None:
    assert find_engine(name).name == name


def test_torch_stands_for_its_three_ways() -> None:
    assert parse_peers("ort, torch") == ("ort", *TORCH_ENGINES)


def test_a_peer_named_twice_is_timed_once() -> None:
    assert parse_peers("torch,torch-jit,ort") == (*TORCH_ENGINES, "ort")


@pytest.mark.parametrize("text", ["", "tensorflow", "ort,,openvino"])
def test_unknown_peer_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no engine"):
        parse_peers(text)


def test_close_name_is_offered() -> None:
    with pytest.raises(UsageError, match="did you mean openvino"):
        parse_peers("openvin")


@pytest.mark.parametrize(("name", "said"), [("ovenbird", ", native"), ("ovenbird-tvm", "")])
def test_the_engine_that_runs_stands_beside_the_version(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovenbird_runtime.engine.native.is_installed", lambda: True)
    assert find_engine(name).load() == f"{__version__}{said}"
    monkeypatch.setattr("ovenbird_runtime.engine.native.is_installed", lambda: False)
    assert find_engine(name).load() == __version__


def test_missing_peer_is_left_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # Python's own way to hide a package
    found, skipped = installed_peers(("openvino", "torch-eager"))
    assert [engine.name for engine in found] == ["torch-eager"]
    assert skipped == {"openvino": f"openvino is not installed ({INSTALL_HINT})"}


def test_no_peer_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnxruntime", "openvino", "ncnn", "torch"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NoPeers, match=r"onnxruntime is not installed .* torch is not installed"):
        installed_peers(PEERS)


@pytest.mark.parametrize(
    ("precision", "able"),
    [
        ("f32", {"ort", "openvino", "ncnn", *TORCH_ENGINES}),
        ("bf16", {"openvino", "torch-eager", "torch-inductor"}),
        ("int8", {"ort", "openvino"}),
    ],
)
def test_peers_are_compared_in_what_they_compute_in(precision: Precision, able: set[str]) -> None:
    assert {name for name in PEERS if precision in find_engine(name).precisions} == able


def test_torch_multiplies_bfloat16_where_all_engines_do(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(64, 8).eval()
    data = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)

    def answer(precision: Precision) -> np.ndarray:
        job = Job("torch-eager", str(tmp_path), 4, 1, precision=precision)
        return _torch.runner_of(lambda x: (layer(x),), ("x",), ("y",), job)({"x": data})["y"]

    exact, rounded = answer("f32"), answer("bf16")
    assert rounded.dtype == np.float32
    error = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 1e-4 < error < 2e-2  # 8 bits of mantissa: neither float32 nor wrong
