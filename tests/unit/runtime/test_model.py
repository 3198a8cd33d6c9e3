"""`predict`: one image or many, from any source, with the artifact's own pipelines."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime import errors
from ovenbird_runtime.manifest.manifest import Classification, Preprocess, TensorSpec
from ovenbird_runtime.manifest.steps import Pad, imagenet
from ovenbird_runtime.model import Model
from ovenbird_runtime.postprocess.kind import Asked
from ovenbird_runtime.postprocess.table import KINDS
from ovenbird_runtime.preprocess.interpreted import apply, prepare
from support.tiny_artifact import reprogram, reseal

replace = dataclasses.replace


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 256, (50 + i, 70, 3), np.uint8)) for i in range(3)]


def test_what_a_model_says_of_itself(model: Model) -> None:
    assert model.name == "tiny"
    assert [(spec.name, spec.dtype, spec.shape) for spec in model.inputs] == [("image", "float32", ("N", 3, 32, 32))]
    assert [spec.name for spec in model.outputs] == ["logits", "embedding"]
    assert repr(model) == "<ovenbird_runtime.Model tiny for tiny, 2 threads>"


def test_predict_is_preprocess_run_postprocess(model: Model, pictures: list[Image.Image]) -> None:
    predictions = model.predict(pictures, top=5, embedding=True)
    pipeline = model.manifest.preprocess.pipelines["imagenet"]
    outputs = model.run({"image": np.stack([apply(pipeline, picture) for picture in pictures])})
    for row, prediction in enumerate(predictions):
        logits = outputs["logits"][row].astype(np.float64)
        shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert [score.index for score in prediction.top] == list(np.argsort(-shares))
        assert prediction.top[0].label == f"class {prediction.top[0].index}"
        assert prediction.top[0].confidence == pytest.approx(shares.max())
        assert sum(score.confidence for score in prediction.top) == pytest.approx(1)
        assert prediction.embedding is not None
        assert prediction.embedding.vector is not None
        np.testing.assert_array_equal(prediction.embedding.vector, outputs["embedding"][row])
        assert prediction.weights.random


def test_each_prediction_says_where_the_input_lies_in_its_picture(
    model: Model, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Post-processing sees the frames, too: one for each row, in order."""
    seen: list[Any] = []
    real = KINDS[Classification]

    def noted(step: Any, outputs: Any, asked: Asked) -> Any:
        seen.extend(asked.frames)
        return real.answers(step, outputs, asked)

    monkeypatch.setitem(KINDS, Classification, replace(real, answers=noted))
    predictions = model.predict(pictures)
    assert seen == [prediction.frame for prediction in predictions]
    pipeline = model.manifest.preprocess.pipelines["imagenet"]
    for picture, prediction in zip(pictures, predictions, strict=True):
        assert prediction.frame == prepare(pipeline, picture)[1]
        assert prediction.frame is not None
        assert (prediction.frame.original, prediction.frame.size) == (picture.size, (32, 32))


def test_one_image_and_many_are_answered_alike(model: Model, pictures: list[Image.Image], tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pictures[0].save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    expected = model.predict(pictures[0])
    assert len(expected) == 1
    assert expected[0].embedding is not None
    assert expected[0].embedding.vector is None
    stacked = np.stack([np.asarray(pictures[0])] * 2)
    for sources in (tmp_path / "a.png", str(tmp_path / "a.png"), buffer.getvalue(), [pictures[0]] * 2, stacked):
        for prediction in model.predict(sources):
            assert prediction.classes == expected[0].classes


def test_portions_do_not_show_in_the_answers(model: Model, pictures: list[Image.Image]) -> None:
    """More images than go through at one time, and random crops that depend on the place in the call alone."""
    many = model.predict([pictures[0]] * 70, "zoom-crop-pad", seed=4)
    assert len(many) == 70
    again = model.predict([pictures[0]] * 70, "zoom-crop-pad", seed=4)
    assert [p.classes for p in many] == [p.classes for p in again]
    assert len({p.top[0].confidence for p in many}) > 60


def test_a_fresh_seed_is_reported(model: Model, pictures: list[Image.Image]) -> None:
    first = model.predict(pictures[0], "zoom-crop-pad")[0]
    assert first.preprocess == "zoom-crop-pad"
    again = model.predict(pictures[0], "zoom-crop-pad", seed=first.seed)[0]
    assert again == first


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"preprocess": "nope"}, errors.PipelineError, "'nope' is unknown; there are imagenet, zoom-crop-pad"),
        ({"top": 0}, errors.WrongOption, "top is 0"),
        ({"top": True}, errors.WrongOption, "top is True"),
        ({"seed": -1}, errors.WrongOption, "seed is -1"),
        ({"seed": 1.5}, errors.WrongOption, "seed is 1.5"),
        ({"max_megapixels": 0}, errors.WrongOption, "max_megapixels is 0"),
        ({"max_megapixels": float("nan")}, errors.WrongOption, "max_megapixels is nan"),
        ({"max_megapixels": 0.001}, errors.ImageTooLarge, "limit 0.0 MP"),
    ],
)
def test_wrong_options_are_refused(
    model: Model, pictures: list[Image.Image], options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        model.predict(pictures[0], **options)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_model_stays_in_its_process(model: Model, copied: Callable[[Model], Any]) -> None:
    with pytest.raises(
        TypeError, match="cannot be copied or pickled, its threads and code are this one's: load it there"
    ):
        copied(model)


def test_too_many_images_are_refused(model: Model) -> None:
    with pytest.raises(errors.WrongOption, match="5000 images in one call, limit 4096"):
        model.predict(["x"] * 5000)


def test_labels_must_fit(spoilt: Path) -> None:
    (spoilt / "labels.txt").write_text("one\ntwo\n")
    reseal(spoilt)
    with pytest.raises(errors.LabelsMismatch, match=r"labels\.txt has 2 labels, the network has 5 classes"):
        ovenbird_runtime.load(spoilt)


def test_labels_must_be_text(spoilt: Path) -> None:
    (spoilt / "labels.txt").write_bytes(b"\xff\xfe\n" * 5)
    reseal(spoilt)
    with pytest.raises(errors.FileChanged, match="not UTF-8"):
        ovenbird_runtime.load(spoilt)


def test_pipeline_of_another_size(spoilt: Path, pictures: list[Image.Image]) -> None:
    pipelines = {"small": imagenet(16, 20), "pad": (Pad(size=(8, 8)),)}
    reseal(spoilt, lambda m: reprogram(m, preprocess=Preprocess("small", pipelines)))
    with ovenbird_runtime.load(spoilt) as model:
        with pytest.raises(errors.PipelineError, match=r"gives \(3, 16, 16\), image takes \(3, 32, 32\)"):
            model.predict(pictures[0])
        with pytest.raises(errors.PipelineError, match="pad to 8x8 cannot hold"):
            model.predict(pictures[0], "pad")


def test_without_a_default_a_pipeline_must_be_named(spoilt: Path, pictures: list[Image.Image]) -> None:
    reseal(spoilt, lambda m: reprogram(m, preprocess=replace(m.preprocess, default=None)))
    known = r"no default .*: name one \(there are imagenet, zoom-crop-pad\), or feed it tensors: run\(\), --inputs"
    with ovenbird_runtime.load(spoilt) as model, pytest.raises(errors.PipelineError, match=known):
        model.predict(pictures[0])


def test_without_a_pipeline_images_are_refused(spoilt: Path, pictures: list[Image.Image]) -> None:
    reseal(spoilt, lambda m: reprogram(m, preprocess=Preprocess()))
    with ovenbird_runtime.load(spoilt) as model, pytest.raises(errors.PipelineError, match=r"\(there are none\)"):
        model.predict(pictures[0])


def test_a_network_that_eats_no_images(spoilt: Path, pictures: list[Image.Image]) -> None:
    ids = TensorSpec("ids", "int64", ("N", 16))
    reseal(spoilt, lambda m: reprogram(m, inputs=(ids,)))
    with ovenbird_runtime.load(spoilt) as model, pytest.raises(errors.PipelineError, match=r"takes ids int64"):
        model.predict(pictures[0])


def test_weights_of_another_network(spoilt: Path) -> None:
    """A weights file that is sound, but not the one this manifest was written with."""
    path = next((spoilt / "weights").iterdir())
    path.write_bytes(bytes(reversed(path.read_bytes())))
    with pytest.raises(errors.FileChanged, match=r"has sha256 .* the manifest says"):
        ovenbird_runtime.load(spoilt)
