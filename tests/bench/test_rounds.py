"""Real engines in real processes: they are timed where they agree, and refused where one has other weights."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ovenbird.benchmarking.engines import BenchEngine, find_engine, ncnn_cpu
from ovenbird.benchmarking.footprint import footprint
from ovenbird.benchmarking.jobs import Job, Runs, onnx_file
from ovenbird.benchmarking.preparing import PrepareRequest
from ovenbird.benchmarking.report.results import case_result
from ovenbird.benchmarking.rounds import BenchCase, MeasuredCase, measure_case
from ovenbird.benchmarking.worker_processes import run_module, run_preparing, run_worker, worker_environment
from ovenbird.errors import EngineFailed, NoPeers, OutputsDisagree

ROUNDS = 2


def installed(name: str) -> BenchEngine:
    engine = find_engine(name)
    if engine.missing():
        pytest.skip(f"{engine.missing()} is not installed (pip install '.[peers]')")
    return engine


def measure(folder: Path, *names: str, batch: int = 1) -> MeasuredCase:
    case = BenchCase("tiny", batch, threads=1)
    return measure_case(case, folder, [installed(name) for name in names], ROUNDS, Runs(repeat=3), lambda *_: None)


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where `tiny_net.py` lies: torch's processes build the network again from it."""
    monkeypatch.chdir(home)


@pytest.fixture
def altered(prepared: Path, tmp_path: Path) -> Callable[[float], Path]:
    """Return a copy of the prepared folder whose ONNX file has one weight changed."""
    onnx = pytest.importorskip("onnx")

    def copy(add: float) -> Path:
        folder = tmp_path / "altered"
        shutil.copytree(prepared, folder)
        model = onnx.load(onnx_file(folder, 1))
        bias = next(tensor for tensor in model.graph.initializer if tensor.dims == [5])
        array = onnx.numpy_helper.to_array(bias).copy()
        array[0] += add
        bias.CopyFrom(onnx.numpy_helper.from_array(array, bias.name))
        onnx.save(model, onnx_file(folder, 1))
        return folder

    return copy


@pytest.mark.parametrize("batch", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "peer", ["ort", "openvino", *(pytest.param(peer, marks=pytest.mark.slow) for peer in ("torch-eager", "torch-jit"))]
)
def test_engines_are_timed_in_turn(prepared: Path, peer: str, batch: int) -> None:
    measured = measure(prepared, "ovenbird", peer, batch=batch)
    assert measured.skipped == {}
    result = case_result(measured)
    for name in ("ovenbird", peer):
        assert result.engines[name].runs == 3 * ROUNDS
        assert len(result.engines[name].round_ms) == ROUNDS
        assert result.engines[name].error < 1e-4
        assert result.engines[name].process_s >= result.engines[name].load_s + result.engines[name].first_s
    assert result.fastest_peer == peer


@pytest.mark.slow  # another compile, in int8
def test_engines_are_compared_in_int8(home: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    installed("ort")
    sys.path.insert(0, str(home))
    try:
        request = PrepareRequest(str(tmp_path / "int8"), "tiny_net:network", (1, 2), quiet=True, precision="int8")
        facts = run_preparing(request)
    finally:
        sys.path.remove(str(home))
    assert facts["precision"] == "int8"
    assert facts["onnx"] == {"1": "", "2": ""}
    operators = [node.op_type for node in onnx.load(onnx_file(tmp_path / "int8", 2)).graph.node]
    assert operators.count("DequantizeLinear") > operators.count("QuantizeLinear") > 2
    measured = measure(tmp_path / "int8", "ovenbird", "ort", "openvino", batch=2)
    assert measured.skipped == {}
    assert all(1e-4 < error < 0.3 for error in measured.errors.values())


def test_engine_with_other_weights_is_refused(altered: Callable[[float], Path]) -> None:
    with pytest.raises(OutputsDisagree, match=r"ort differs from the network: .* is off by .* limit 0.0001"):
        measure(altered(0.1), "ovenbird", "ort")


def test_ncnn_takes_one_image_and_is_left_out_where_its_converter_errs(
    prepared: Path, altered: Callable[[float], Path]
) -> None:
    measured = measure(prepared, "ovenbird", "ncnn", "ort")
    assert measured.errors["ncnn"] < 1e-4
    assert len(measured.answers["ncnn"]) == ROUNDS
    assert "no dimension for a batch" in measure(prepared, "ovenbird", "ncnn", "ort", batch=2).skipped["ncnn"]
    wrong = altered(0.1)  # as a converter's fault would have it; ONNX Runtime gets the right file back
    ncnn_cpu.convert(Job("ncnn", str(wrong), 1, 1))
    shutil.copyfile(onnx_file(prepared, 1), onnx_file(wrong, 1))
    os.utime(onnx_file(wrong, 1), (0, 0))  # older than what was converted
    measured = measure(wrong, "ovenbird", "ncnn", "ort")
    assert "ncnn differs from the network" in measured.skipped["ncnn"]
    assert set(measured.answers) == {"ovenbird", "ort"}


def test_engine_within_the_tolerance_is_timed(altered: Callable[[float], Path]) -> None:
    assert measure(altered(1e-5), "ovenbird", "ort").errors["ort"] > 1e-6


def test_peer_that_does_not_start_is_left_out(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(prepared, folder)
    onnx_file(folder, 1).write_bytes(b"no model")
    measured = measure(folder, "ovenbird", "ort", "torch-eager")
    assert list(measured.answers) == ["ovenbird", "torch-eager"]
    assert measured.skipped["ort"].startswith("ort failed: ")
    with pytest.raises(NoPeers, match="no peer to compare with: ort failed"):
        measure(folder, "ovenbird", "ort")


def test_own_engine_must_run(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(prepared, folder)
    document = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    artifact = shutil.copytree(document["artifact"], tmp_path / "without code")
    for code in artifact.rglob("*.so"):
        code.write_bytes(b"no code")
    (folder / "network.json").write_text(json.dumps({**document, "artifact": str(artifact)}), encoding="utf-8")
    with pytest.raises(EngineFailed, match=r"ovenbird failed: .*FileChanged"):
        measure(folder, "ovenbird", "torch-eager")


def test_engine_that_takes_too_long_is_stopped(prepared: Path) -> None:
    with pytest.raises(EngineFailed, match="torch-eager was not done within 0 s"):
        run_worker(Job("torch-eager", str(prepared), batch=1, threads=1), limit_s=0.05)


def test_threads_wait_as_their_library_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has torch's threads sleep for other work's sake would measure ncnn and torch at 1.3 times their time."""
    for name in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME"):
        monkeypatch.setenv(name, "passive")
    given = worker_environment(2)
    assert not {"OMP_WAIT_POLICY", "KMP_BLOCKTIME"} & given.keys()
    assert given["OMP_NUM_THREADS"] == "2"


def test_memory_of_two_processes(prepared: Path) -> None:
    job = Job("ovenbird", str(prepared), batch=1, threads=1, hold=True)
    found = footprint(job, 60)
    assert found["pss_one_bytes"] <= found["rss_one_bytes"] < found["rss_two_bytes"]
    assert found["pss_two_bytes"] < found["rss_two_bytes"]  # both map the same libraries and weights


def test_every_function_of_the_artifact_is_timed(prepared: Path) -> None:
    document = json.loads((prepared / "network.json").read_text(encoding="utf-8"))
    arguments = [document["artifact"], str(prepared / "inputs-b1.npz"), "1", "1", "2"]
    rows = run_module("ovenbird.benchmarking.layer_profile", arguments, 1, 120)["rows"]
    layers = json.loads((prepared / "artifact.layers.json").read_text(encoding="utf-8"))
    # A reshape may have become a mere view; what computes has not.
    compiled = {name for name, layer in layers.items() if layer["calls"].get("main_b1") and layer["flops"]}
    assert compiled
    assert compiled <= {row["name"] for row in rows}
    assert all(row["ms"] > 0 and row["calls"] > 0 for row in rows)
