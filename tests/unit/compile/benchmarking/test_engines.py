"""Engines are found by name; what is not installed is named with the way to install it."""

import sys

import pytest

from ovenbird.benchmarking.engines import FILES, INSTALL_HINT, PEERS, TORCH_ENGINES, find_engine, parse_peers
from ovenbird.benchmarking.running import installed_peers
from ovenbird.errors import NoPeers, UsageError


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
