"""What a manifest may say: sealing, later versions, and what one field says about another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovenbird_runtime.errors import ManifestInvalid, ManifestTooNew, UnknownProgram
from ovenbird_runtime.manifest.manifest import (
    AnswerStep,
    Boxes,
    Classification,
    Entry,
    Manifest,
    Preprocess,
    Raw,
    Target,
    TensorSpec,
    VariantRef,
    WeightTensor,
    check_target,
    decode_manifest,
    decode_target,
    seal,
    target_bytes,
)
from ovenbird_runtime.manifest.steps import Normalise, Pad, Resize, Step
from support.tiny_artifact import reprogram

replace = dataclasses.replace


@pytest.fixture
def manifest(tiny: Path) -> Manifest:
    return decode_manifest((tiny / "manifest.json").read_bytes())


@pytest.fixture
def target(tiny: Path) -> Target:
    return decode_target((tiny / "targets/tiny/target.json").read_bytes())


def test_sealing_is_stable(tiny: Path, manifest: Manifest) -> None:
    data = (tiny / "manifest.json").read_bytes()
    assert seal(manifest) == data
    assert decode_manifest(seal(manifest)) == manifest


def test_every_changed_byte_is_seen(tiny: Path) -> None:
    data = (tiny / "manifest.json").read_bytes()
    for place in range(len(data)):
        spoilt = bytearray(data)
        spoilt[place] ^= 1
        with pytest.raises((ManifestInvalid, ManifestTooNew)):
            decode_manifest(bytes(spoilt))


def test_added_space_is_seen(tiny: Path) -> None:
    with pytest.raises(ManifestInvalid, match="was changed after it was written"):
        decode_manifest((tiny / "manifest.json").read_bytes() + b"\n")


def test_an_unsealed_manifest_is_refused(tiny: Path, manifest: Manifest) -> None:
    data = (tiny / "manifest.json").read_bytes().replace(manifest.digest.encode(), b"0" * 64)
    with pytest.raises(ManifestInvalid, match="not a seal"):
        decode_manifest(data)


@pytest.mark.parametrize("version", ["3", "99", "1" * 30])
def test_a_later_version_is_refused_as_such(tiny: Path, version: str) -> None:
    data = (tiny / "manifest.json").read_bytes()
    data = data.replace(b'"schema_version": 2', b'"schema_version": ' + version.encode())
    with pytest.raises(ManifestTooNew, match="upgrade ovenbird-runtime"):
        decode_manifest(data)


def test_later_version_wins_over_unknown_fields() -> None:
    with pytest.raises(ManifestTooNew):
        decode_manifest(b'{"schema_version": 7, "new_things": []}')


IMAGE = TensorSpec("image", "float32", ("N", 3, 32, 32))
LOGITS = TensorSpec("logits", "float32", ("N", 5))
CLASSES = Classification(output="logits")
BOXED = tuple(
    TensorSpec(name, dtype, ("N", 9, *shape))
    for name, dtype, shape in (
        ("boxes", "float32", (4,)),
        ("scores", "float32", ()),
        ("classes", "int32", ()),
        ("masks", "float32", (7, 7)),
        ("keypoints", "float32", (17, 3)),
        ("wide", "float32", (4000, 4000)),
    )
)


def boxed(manifest: Manifest, *steps: AnswerStep) -> Manifest:
    """Return a manifest of a detector with these steps."""
    return reprogram(manifest, outputs=BOXED, postprocess=steps)


def piped(manifest: Manifest, *steps: Step) -> Manifest:
    """Return the manifest with this pre-processing."""
    return reprogram(manifest, preprocess=Preprocess(None, {"x": steps}))


CHANGES: list[tuple[Callable[[Manifest], Manifest], str]] = [
    (lambda m: reprogram(m, inputs=(IMAGE, IMAGE)), "two inputs named 'image'"),
    (lambda m: reprogram(m, outputs=(LOGITS, LOGITS)), "two outputs named 'logits'"),
    (lambda m: reprogram(m, inputs=(replace(IMAGE, shape=(1, "N")),)), "beyond its first dimension"),
    (lambda m: reprogram(m, inputs=(replace(IMAGE, shape=(1, 3)),)), "all outputs must begin"),
    (lambda m: reprogram(m, preprocess=Preprocess("nope", {})), "the default pipeline 'nope'"),
    (lambda m: reprogram(m, preprocess=Preprocess(None, {"x": (Resize(),)})), "exactly one of shorter, fit and exact"),
    (lambda m: reprogram(m, preprocess=Preprocess(None, {"x": (Normalise(), Normalise())})), "must be the last"),
    (lambda m: reprogram(m, preprocess=Preprocess(None, {"x": (Normalise(std=(0.0,)),)})), "std of 0"),
    (lambda m: reprogram(m, preprocess=Preprocess(None, {"x": (Normalise(mean=(1.0, 2.0)),)})), "one for each of red"),
    (lambda m: reprogram(m, postprocess=(Raw(output="nope"),)), "which is no output"),
    (
        lambda m: reprogram(m, postprocess=(Classification(output="logits", labels="no.txt"),)),
        "'no.txt' are not in the file table",
    ),
    (lambda m: reprogram(m, postprocess=(Raw(output="logits"),) * 2), "two post-processings"),
    (lambda m: boxed(m, Boxes(scores="no")), "post-processing of 'no', which is no output"),
    (lambda m: boxed(m, Boxes(), Raw(output="scores")), "two post-processings named 'scores'"),
    (lambda m: boxed(m, Boxes(scores="boxes")), "two post-processings named 'boxes'"),
    (
        lambda m: boxed(m, Boxes(output="scores", scores="boxes")),
        r"scores is float32 \[N, 9\], for boxes it would have",
    ),
    (
        lambda m: boxed(m, Boxes(classes="masks", masks="classes")),
        r"classes|masks is float32 \[N, 9, 7, 7\], for boxes",
    ),
    (lambda m: boxed(m, Boxes(masks="keypoints")), r"keypoints is float32 \[N, 9, 17, 3\], for boxes"),
    (lambda m: boxed(m, Boxes(keypoints="masks")), r"masks is float32 \[N, 9, 7, 7\], for boxes"),
    (lambda m: boxed(m, Boxes(masks="wide")), "wide has masks of 4000 pixels a side, limit 1024"),
    (lambda m: boxed(m, Boxes(labels="no.txt")), "'no.txt' are not in the file table"),
    (lambda m: boxed(m, Boxes(score=1.5)), "score is 1.5, expected 0 to 1"),
    (lambda m: boxed(m, Boxes(iou=-0.5)), "iou is -0.5, expected 0 to 1"),
    (lambda m: boxed(m, Boxes(max_boxes=0)), "max_boxes is 0, expected 1 to 1000"),
    (lambda m: boxed(m, Boxes(nms="firm")), "nms is 'firm', expected one of hard, soft, none"),  # type: ignore[arg-type]
    (lambda m: piped(m, Resize(exact=(9, 9), enlarge=False)), "enlarge and rounding for fit only"),
    (lambda m: piped(m, Pad(value=None), Pad()), "only normalise may follow"),
    (lambda m: piped(m, Pad(value=(1, 2))), "another kind of value"),
    (lambda m: replace(m, variants=(VariantRef("x", "targets/x"),)), "targets/x/model.so is not in the file table"),
    (lambda m: replace(m, variants=m.variants * 2), "two variants named 'tiny'"),
    (lambda m: replace(m, files=m.files | {"manifest.json": m.files["labels.txt"]}), "cannot hold manifest.json"),
    (lambda m: replace(m, model=replace(m.model, version="0" * 64)), "64 zeros elsewhere"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES, ids=[words for _, words in CHANGES])
def test_contradictions_are_refused(manifest: Manifest, change: Callable[[Manifest], Manifest], words: str) -> None:
    with pytest.raises(ManifestInvalid, match=words):
        seal(change(manifest))


def test_boxes_read_several_outputs(manifest: Manifest) -> None:
    steps = (Boxes(masks="masks", keypoints="keypoints", labels="labels.txt"), Raw(output="wide"))
    assert decode_manifest(seal(boxed(manifest, *steps))).postprocess == steps


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a//b", "a/../b", "./a", "a/", ".hidden", "a\\b", "a\0b", "a b", "ä", "C:x", ""]
)
def test_file_names_are_plain(manifest: Manifest, name: str) -> None:
    with pytest.raises(ManifestInvalid):
        seal(replace(manifest, files=manifest.files | {name: manifest.files["labels.txt"]}))


TARGETS: list[tuple[dict[str, Any], str]] = [
    ({"entries": (Entry("main", 1, (), "f", (9,)),)}, "f wants tensor 9, there are 2"),
    ({"entries": (Entry("main", 1, (), "f", (0, 2)),)}, "f wants tensor 2, there are 2"),
    ({"entries": (Entry("main", 1, (), "f", (0,)),), "tensors": ()}, "f wants tensor 0, there are 0"),
    (
        {"entries": (Entry("main", 1, (), "f", ()), Entry("main", 1, (), "g", ()))},
        "two entries named .main",
    ),
    ({"entries": (Entry("main", 1, (), "f", ()), Entry("main", 2, (), "f", ()))}, "two functions"),
    ({"entries": (Entry("other", 1, (), "f", ()),)}, "f is of program 'other', which is unknown"),
    ({"entries": (Entry("main", 1, (32, 33), "f", ()),)}, "f takes images of .32, 33., the program .32, 32."),
    ({"tensors": (WeightTensor("weights/no.bin", 0, "float32", (1,)),)}, "not in the file table"),
    ({"tensors": (WeightTensor("labels.txt", 4, "float32", (1,)),)}, "not a multiple of 64"),
    ({"tensors": (WeightTensor("labels.txt", 64, "float32", (1,)),)}, "its file has 40"),
    ({"tensors": (WeightTensor("labels.txt", 0, "float32", (2**31,) * 8),)}, "its file has 40"),
]


@pytest.mark.parametrize(("change", "words"), TARGETS, ids=[words for _, words in TARGETS])
def test_contradictions_of_a_target_are_refused(
    manifest: Manifest, target: Target, change: dict[str, Any], words: str
) -> None:
    change = {"entries": (Entry("main", 1, (), "main_b1", ()),)} | change
    with pytest.raises(ManifestInvalid, match=words):
        check_target(replace(target, **change), manifest)


def test_target_bytes_round_trip(target: Target) -> None:
    assert decode_target(target_bytes(target)) == target
    with pytest.raises(ManifestInvalid, match="alignment"):
        target_bytes(replace(target, alignment=16))


def test_a_spec_knows_its_shape_at_a_batch() -> None:
    assert IMAGE.batched
    assert IMAGE.with_batch(4) == (4, 3, 32, 32)
    assert not TensorSpec("x", "float32", ()).batched


def test_a_program_is_named_where_there_are_several(manifest: Manifest) -> None:
    assert manifest.program() is manifest.program("main") is manifest.programs["main"]
    with pytest.raises(UnknownProgram, match="program is 'step', the model has main: name one of them"):
        manifest.program("step")
    two = replace(manifest, programs={"encode": manifest.program(), "step": manifest.program()})
    assert decode_manifest(seal(two)).program("step") == manifest.program()
    with pytest.raises(UnknownProgram, match="no program is named, the model has encode, step"):
        two.program()
    with pytest.raises(UnknownProgram):
        _ = two.inputs


def test_every_program_has_code(manifest: Manifest, target: Target) -> None:
    two = replace(manifest, programs={"main": manifest.program(), "step": manifest.program()})
    with pytest.raises(ManifestInvalid, match="no entry is of program step"):
        check_target(target, two)
