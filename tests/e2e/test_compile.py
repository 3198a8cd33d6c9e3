"""From a network to an artifact and back: the commands as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ovenbird.process.children import python_process
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.artifact.golden import GOLDEN, read_golden

Compiled = Callable[..., Path]


def test_the_artifact_is_complete(compiled: Compiled) -> None:
    artifact = open_artifact(compiled("networks:detector"))
    manifest = artifact.manifest
    artifact.verify(manifest.files)
    assert [(spec.name, spec.dtype, spec.shape) for spec in manifest.inputs] == [
        ("image", "float32", ("N", 3, 32, 32)),
        ("scale", "float32", ("N", 5)),
    ]
    assert [spec.name for spec in manifest.outputs] == ["classes", "features"]
    assert manifest.model.weights.origin == "embedded"
    assert manifest.parity is not None
    assert all(error <= 1e-5 for error in manifest.parity.programs["main"].max_abs_error.values())
    assert manifest.parity.random_inputs == 9
    target = artifact.read_target(manifest.variants[0])
    assert [entry.batch for entry in target.entries] == [1, 8]
    assert {"model.so", "plan.json", "target.json"} == {
        Path(name).name for name in manifest.files if name.startswith("targets/")
    }
    # the weights are in a file of their own, once for both batch sizes
    weights = [name for name in manifest.files if name.startswith("weights/")]
    assert weights == [f"weights/{manifest.files[weights[0]].sha256}.bin"]
    inputs, outputs = read_golden((artifact.root / GOLDEN).read_bytes())
    assert inputs["image"].shape == (2, 3, 32, 32)
    assert set(outputs) == {"classes", "features"}


def test_the_report_can_be_read_by_a_script(ovenbird: Any, tmp_path: Path) -> None:
    done = ovenbird("compile", "networks:tokens", "--json", "--batch-sizes", "2", "-o", tmp_path / "a")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["verified"] == ["host"]
    main = document["parity"]["programs"]["main"]
    assert main["tolerance"] == 1e-4
    assert main["variants"]["host"]["precision"] == "f32"
    assert main["variants"]["host"]["limits"]["rms"] == 1e-4
    assert main["variants"]["host"]["outputs"]["output1"] == {
        "rms": 0.0, "peak": 0.0, "mismatches": 0.0, "dependence": 1.0, "blind": False,
    }  # fmt: skip
    assert "tracing and importing" in done.err


def test_progress_is_silent_when_asked(ovenbird: Any, tmp_path: Path) -> None:
    done = ovenbird("compile", "networks:tokens", "-q", "-o", tmp_path / "a")
    assert (done.code, done.err) == (0, "")


def test_whole_numbers_work_and_wild_ones_do_no_harm(compiled: Compiled, ovenbird: Any, tmp_path: Path) -> None:
    artifact = compiled("networks:tokens")
    wild = np.array([[999, -(10**12), 2**62, 3], [0, 1, 2, 49]])
    np.savez(tmp_path / "in.npz", ids=wild)
    done = ovenbird("run", artifact, "-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert done.code == 0, done.err
    with np.load(tmp_path / "out.npz") as found:
        assert found["output1"].tolist() == (wild + 1).tolist()
        assert np.isfinite(found["output0"]).all()


def test_a_fixed_batch_is_kept(compiled: Compiled) -> None:
    artifact = open_artifact(compiled("networks:fixed"))
    assert artifact.manifest.inputs[0].shape == (4, 6)
    # without a batch, its golden inputs are whole cases
    assert read_golden((artifact.root / GOLDEN).read_bytes())[0]["x"].shape == (2, 4, 6)
    done = python_process(["-m", "ovenbird_runtime", "selftest", str(artifact.root)])
    assert "2 golden rows reproduced" in done.stdout, done.stderr
    assert [entry.batch for entry in artifact.read_target(artifact.manifest.variants[0]).entries] == [1]


@pytest.mark.parametrize(
    ("file", "batched"),
    [
        pytest.param("free.pt2", True, marks=pytest.mark.slow),
        ("fixed.pt2", False),
        ("free.onnx", True),
        pytest.param("fixed.onnx", False, marks=pytest.mark.slow),
    ],
)
def test_files_are_compiled_with_their_names(compiled: Compiled, network_files: Path, file: str, batched: bool) -> None:
    manifest = open_artifact(compiled(network_files / file)).manifest
    assert [spec.name for spec in (*manifest.inputs, *manifest.outputs)] == ["image", "scale", "classes", "features"]
    assert manifest.inputs[0].shape == (("N" if batched else 2), 3, 32, 32)
    assert manifest.model.name == Path(file).stem


def test_names_and_shapes_can_be_given(ovenbird: Any, tmp_path: Path) -> None:
    done = ovenbird(
        "compile", "networks:images", "-o", tmp_path / "a", "--batch-sizes", "1", "--input-shapes", "image:[1,3,96,96]",
        "--input-names", "photo", "--output-names", "features", "--preprocess", "zoom-crop-pad", "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    manifest = open_artifact(tmp_path / "a").manifest
    assert (manifest.inputs[0].name, manifest.inputs[0].shape) == ("photo", ("N", 3, 96, 96))
    assert manifest.outputs[0].name == "features"
    assert manifest.preprocess.default == "zoom-crop-pad"
    # a network that eats images is verified on photographs
    assert manifest.parity is not None
    assert manifest.parity.images == 3


def test_the_code_can_be_read(ovenbird: Any, tmp_path: Path) -> None:
    done = ovenbird("compile", "networks:images", "-o", tmp_path / "a", "--dump-code", "relax,tir,ll,asm", "-q")
    assert done.code == 0, done.err
    dumped = {path.suffix: path.read_text() for path in (tmp_path / "a.code" / "host").iterdir()}
    assert {".relax", ".tir", ".ll", ".asm"} <= dumped.keys()
    assert "R.function" in dumped[".relax"]
    assert "T.prim_func" in dumped[".tir"]
    assert "define" in dumped[".ll"]


def test_inspect_prints_all_and_loads_nothing(compiled: Compiled, ovenbird: Any) -> None:
    artifact = compiled("networks:detector")
    done = ovenbird("inspect", artifact)
    assert done.code == 0
    assert "input      image float32 [N, 3, 32, 32]" in done.out
    assert "parity     max error classes" in done.out
    document = json.loads(ovenbird("inspect", artifact, "--json").out)
    assert document["manifest"]["model"]["name"] == "networks-detector"
    assert document["targets"]["host"]["alignment"] == 64


def test_verify_compares_again(compiled: Compiled, ovenbird: Any, tmp_path: Path) -> None:
    artifact = compiled("networks:detector")
    done = ovenbird("verify", artifact, "--model", "networks:detector")
    assert done.code == 0, done.err
    assert "is its network: max error classes" in done.out
    done = ovenbird("verify", artifact)
    assert done.code == 2
    assert "give --model" in done.error
    done = ovenbird("verify", artifact, "--model", "networks:tokens")
    assert done.code == 1
    assert done.error.startswith("error: VerificationFailed: networks:tokens has other inputs")
    done = ovenbird("verify", artifact, "--model", "networks:detector", "--tolerance", "1e-12")
    assert done.code == 1
    assert "output classes is off by" in done.error
    assert "limit 1e-12" in done.error


def test_outputs_that_never_change_are_reported(ovenbird: Any, tmp_path: Path) -> None:
    done = ovenbird("compile", "networks:unmoved", "-q", "-o", tmp_path / "a")
    assert done.code == 0, done.err
    assert "SAME FOR ALL INPUTS: still. torch itself answers every input alike" in done.out
    done = ovenbird("verify", tmp_path / "a", "--model", "networks:unmoved", "-q")
    assert "SAME FOR ALL INPUTS: still." in done.out
    parity = json.loads((tmp_path / "a" / "evidence" / "parity.json").read_text())
    outputs = parity["programs"]["main"]["variants"]["host"]["outputs"]
    assert {name: output["blind"] for name, output in outputs.items()} == {"moving": False, "still": True}
