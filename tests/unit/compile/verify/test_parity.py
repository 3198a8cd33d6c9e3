"""The manifest's figures: by program and variant, and a model of two programs verified in the real runtime."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ovenbird.errors import VerificationFailed
from ovenbird.networks.network import Network
from ovenbird.verify.parity import parity, parity_bytes
from ovenbird.verify.verifying import Verification, verify_programs
from ovenbird_runtime.manifest.agreement import LIMITS, Difference
from ovenbird_runtime.manifest.manifest import (
    Entry,
    Manifest,
    TensorSpec,
    VariantParity,
    WeightsInfo,
    decode_manifest,
    seal,
)
from support.compile_tiny import CLASSES, FEATURES, SHAPES, SIDE, reference
from support.tiny_artifact import copy_tiny, reseal, retarget

F32 = LIMITS["f32"]
HELD = VariantParity("f32", F32)


def found(error: float, top1: float | None) -> Verification:
    outputs = {"y": Difference(max_abs=error, rms=error, peak=error)}
    return Verification(F32, outputs, top1, 3, 9, {})


def test_the_figures_of_all_targets_are_the_worst_and_each_keeps_its_own() -> None:
    measured = parity(
        {"a": {"main": found(1e-5, 1.0)}, "b": {"main": found(3e-5, 0.9)}, "c": {"main": found(2e-5, None)}},
        {"a": HELD, "b": HELD, "c": HELD, "gpu": replace(HELD, precision="f16", limits=LIMITS["f16"])},
    )
    main = measured.programs["main"]
    assert (main.max_abs_error, main.top1_agreement, main.tolerance) == ({"y": 3e-5}, 0.9, F32.rms)
    assert [one.outputs["y"].rms if one.outputs else None for one in main.variants.values()] == [1e-5, 3e-5, 2e-5, None]
    # what could not run here is held to its own precision's limits where it can
    assert measured.limits_for("gpu", "f32") == LIMITS["f16"]


class Tiny:
    """The tiny network in numpy, as a source; its kernel is that of the artifact times `scale`."""

    framework, batched, one_row, concurrent = "numpy", True, False, False

    def __init__(self, scale: float = 1.0) -> None:
        drawn = np.random.default_rng(0)
        self.weights = {name: drawn.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
        self.weights["kernel"] *= np.float32(scale)

    def examples(self, batch: int) -> list[Any]:
        return [np.random.default_rng(1).standard_normal((batch, 3, SIDE, SIDE)).astype(np.float32)]

    def reference(self, inputs: list[Any]) -> list[Any]:
        return [array.astype(np.float32) for array in reference(*inputs, **self.weights).values()]


def tiny(image: str, scale: float = 1.0) -> Network:
    outputs = (TensorSpec("logits", "float32", ("N", CLASSES)), TensorSpec("embedding", "float32", ("N", FEATURES)))
    inputs = (TensorSpec(image, "float32", ("N", 3, SIDE, SIDE), "NCHW"),)
    return Network("tiny", "1", "", WeightsInfo("random"), inputs, outputs, cast(Any, Tiny(scale)))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the tiny network as `first`, for one image, and as `second`, for four, with another input."""
    folder = copy_tiny(tmp_path_factory.mktemp("two"))
    entries = (Entry("first", 1, (), "main_b1", (0, 1)), Entry("second", 4, (), "main_b4", (0, 1)))
    retarget(folder, lambda target: replace(target, entries=entries))

    def split(manifest: Manifest) -> Manifest:
        first = manifest.programs["main"]
        second = replace(first, inputs=(replace(first.inputs[0], name="picture"),))
        return replace(manifest, programs={"first": first, "second": second}, parity=None)

    reseal(folder, split)
    return folder


def test_every_program_is_verified_and_has_figures_of_its_own(two: Path) -> None:
    networks = {"first": tiny("image"), "second": tiny("picture", 1 + F32.rms / 4)}
    found = verify_programs(two, networks, dict.fromkeys(networks, (1, 4)), F32)
    assert [one.random_inputs for one in found.values()] == [9, 9]
    figures = parity({"tiny": found}, {"tiny": HELD, "other": HELD})
    assert (figures.images, figures.random_inputs, list(figures.programs)) == (0, 18, ["first", "second"])
    first, second = figures.programs.values()
    assert second.max_abs_error["logits"] > 2 * first.max_abs_error["logits"] > 0
    assert [sorted(one.variants["tiny"].outputs) for one in (first, second)] == [["embedding", "logits"]] * 2
    assert second.variants["tiny"].outputs["logits"].rms > 2 * first.variants["tiny"].outputs["logits"].rms
    document = json.loads(parity_bytes(figures, "numpy", {"other": "no such machine"}))
    assert (document["verified"], document["not_verified"]) == (["tiny"], ["other"])
    manifest = replace(decode_manifest((two / "manifest.json").read_bytes()), parity=figures)
    assert decode_manifest(seal(manifest)).parity == figures


def test_the_program_that_differs_is_named(two: Path) -> None:
    for scales, name in (((1.0, 1.01), "second"), ((1.01, 1.0), "first")):
        networks = {"first": tiny("image", scales[0]), "second": tiny("picture", scales[1])}
        with pytest.raises(VerificationFailed, match=rf"^program {name}: output \w+ is off by"):
            verify_programs(two, networks, dict.fromkeys(networks, (1, 4)), F32)
