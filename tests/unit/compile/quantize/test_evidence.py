"""Every quantizer says the same of itself in the artifact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ovenbird.quantize.calibration.pictures import Pictures
from ovenbird.quantize.evidence import CalibrationEvidence

PICTURES = Pictures([[], []], (Path("photos/c.jpg"),), "photographs of a folder", {"a.jpg": "00", "b.jpg": "11"})


def test_ours_and_another_s_have_the_same_keys() -> None:
    ours = CalibrationEvidence.of(PICTURES, "mse", True).document()
    other = CalibrationEvidence.of(PICTURES, "max", False, "onnxruntime 1.31.1").document()
    assert list(ours) == list(other)
    assert (ours["quantizer"], other["quantizer"]) == ("ovenbird", "onnxruntime 1.31.1")
    assert (ours["pictures"], ours["from"], ours["method"]) == (2, "photographs of a folder", "mse")
    assert (ours["files"], ours["held_out"], ours["narrow_weights"]) == (PICTURES.files, ["c.jpg"], True)


def test_the_manifest_repeats_part_of_it() -> None:
    evidence = CalibrationEvidence.of(PICTURES, "mse", True)
    assert evidence.summary().items() <= evidence.document().items()
    assert "files" not in evidence.summary()


def test_what_a_quantizer_does_not_know_is_left_out() -> None:
    evidence = CalibrationEvidence.of(PICTURES, "mse", True)
    assert not {"mixture", "tensors"} & set(evidence.document())
    found = replace(evidence, tensors=3, mixture={"expected": 0.1}, layers=[{"layer": "conv2d 1 of 1"}]).document()
    assert (found["tensors"], found["mixture"], found["layers"]) == (3, {"expected": 0.1}, [{"layer": "conv2d 1 of 1"}])
