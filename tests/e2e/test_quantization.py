"""One artifact in two precisions, as a user compiles it, reads it and runs it; and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from ovenbird_runtime.artifact.artifact import open_artifact
from support.quantized_models import convolutional_model, quantize_by_onnx

PROCESSING = ("--preprocess", "imagenet", "--answer", "classes")
COMPILE = ("compile", "networks:images", "--batch-sizes", "1", *PROCESSING, "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of patches."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(10):
        coarse = random.integers(0, 256, (4 + index, 5, 3), np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def artifact(folder: Path, ovenbird: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("quantized") / "images"
    options = ("--precision", "f32,auto", "--max-disagreement", "60%", "--calibrate", folder)
    done = ovenbird(*COMPILE, *options, "-o", output)
    assert done.code == 0, done.err
    assert re.search(r"host-int8: \d+ of \d+ sums of products in whole numbers", done.out)
    return output


def test_an_artifact_holds_both_precisions(artifact: Path, folder: Path) -> None:
    opened = open_artifact(artifact)
    assert [(one.name, one.precision) for one in opened.manifest.variants] == [("host", "f32"), ("host-int8", "int8")]
    assert opened.manifest.parity is not None
    held = opened.manifest.parity.programs["main"].variants
    assert held["host"].limits.rms < held["host-int8"].limits.rms
    evidence = json.loads((artifact / "evidence/calibration.json").read_bytes())
    assert evidence["pictures"] == 8
    assert len(evidence["files"]) == 8
    assert set(evidence["held_out"]) | set(evidence["files"]) == {path.name for path in folder.iterdir()}
    found = evidence["agreement"]["host-int8"]["main"]
    assert found["photographs"] == 2
    assert min(found["sqnr_db"].values()) > 15


def test_inspect_shows_the_precisions_and_the_calibration(artifact: Path, ovenbird: Any) -> None:
    shown = ovenbird("inspect", artifact).out
    assert "host-int8, int8" in shown
    assert "calibrated on 8 pictures, photographs of a folder, by mse" in shown
    assert "layers f32; time saved" in shown
    evidence = json.loads((artifact / "evidence/calibration.json").read_bytes())
    assert all(layer["layer"] in shown for layer in evidence["layers"])
    assert sum(layer["time"] for layer in evidence["layers"]) == pytest.approx(1, abs=1e-2)
    document = json.loads(ovenbird("inspect", artifact, "--json").out)
    assert document["calibration"] == evidence
    assert document["provenance"]["options"]["calibration"] == {"size": 64, "method": "mse", "mix_below": 0.6}


def test_f32_is_run_unless_int8_is_asked_for(artifact: Path, folder: Path, ovenbird: Any) -> None:
    answers = {}
    for name, options in {"default": (), "f32": ("--precision", "f32"), "int8": ("--precision", "int8")}.items():
        done = ovenbird("run", artifact, folder / "0.png", "--json", "--top", "3", *options)
        assert done.code == 0, done.err
        answers[name] = json.loads(done.out)[0]["classes"]
    assert answers["default"] == answers["f32"]
    assert answers["default"] != answers["int8"]


def test_a_network_that_came_quantized_is_int8_without_an_option(ovenbird: Any, tmp_path: Path) -> None:
    onnx.save(quantize_by_onnx(convolutional_model(), "QOperator"), tmp_path / "net.onnx")
    done = ovenbird("compile", tmp_path / "net.onnx", "--batch-sizes", "1", "-o", tmp_path / "art", "--quiet")
    assert done.code == 0, done.err
    found = re.search(r"host-int8: (\d+) of (\d+) sums of products in whole numbers", done.out)
    assert found
    assert found[1] == found[2] != "0"
    manifest = open_artifact(tmp_path / "art").manifest
    assert [one.precision for one in manifest.variants] == ["int8"]
    assert manifest.parity is not None
    (error,) = manifest.parity.programs["main"].variants["host-int8"].outputs.values()
    assert error.rms < 0.05
    assert not (tmp_path / "art/evidence/calibration.json").exists()


def test_another_s_quantizer_is_compiled_verified_and_named(folder: Path, ovenbird: Any, tmp_path: Path) -> None:
    options = ("--precision", "int8", "--calibrate", folder, "--quantizer", "onnxruntime")
    done = ovenbird(*COMPILE, *options, "-o", tmp_path / "art")
    assert done.code == 0, done.err
    found = re.search(r"host-int8: (\d+) of (\d+) sums of products in whole numbers", done.out)
    assert found
    assert found[1] == found[2] != "0"
    assert "verified for host-int8 against torch" in done.out  # the network in floats, not what the quantizer wrote
    evidence = json.loads((tmp_path / "art/evidence/calibration.json").read_bytes())
    assert evidence["quantizer"] == f"onnxruntime {onnxruntime.__version__}"
    assert (evidence["method"], evidence["pictures"]) == ("max", 8)
    assert min(evidence["agreement"]["host-int8"]["main"]["sqnr_db"].values()) > 15
    document = json.loads(ovenbird("inspect", tmp_path / "art", "--json").out)
    assert document["provenance"]["options"]["calibration"]["quantizer"] == "onnxruntime"


def test_another_s_quantizer_takes_an_onnx_file_in_batches(ovenbird: Any, tmp_path: Path) -> None:
    onnx.save(convolutional_model(), tmp_path / "net.onnx")
    options = ("--batch-sizes", "1,3", "--precision", "int8", "--quantizer", "onnxruntime", "--max-disagreement", "0%")
    done = ovenbird("compile", tmp_path / "net.onnx", *options, "-o", tmp_path / "art", "--quiet")
    assert done.code == 0, done.err
    assert "max error y" in done.out


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--calibrate", "."), "--calibrate is about int8: give --precision int8"),
        (("--precision", "int8", "--max-disagreement", "2"), "expected a share of 0 to 1"),
        (("--precision", "int8,auto"), "auto is int8 but for some layers; give one of the two"),
        (("--quantizer", "onnxruntime"), "--quantizer is about int8: give --precision int8"),
        (("--precision", "auto", "--quantizer", "onnxruntime"), "leave --quantizer out"),
        (
            ("--precision", "int8", "--quantizer", "onnxruntime", "--calibration-method", "mse"),
            "ONNX Runtime's quantizer has entropy, max, percentile",
        ),
        (("--precision", "int8", "--target", "cuda-sm90"), "int8 is for targets of kind llvm"),
        (("--precision", "int8", "--calibrate", "networks.py"), "neither a folder of photographs nor an .npz file"),
    ],
)
def test_what_cannot_be_is_refused(options: tuple[str, ...], error: str, ovenbird: Any, tmp_path: Path) -> None:
    done = ovenbird(*COMPILE, *options, "-o", tmp_path / "out")
    assert done.code != 0
    assert error in done.err
    assert not (tmp_path / "out").exists()
