"""`ovenbird-run run DIR photo.jpg` answers what `ovenbird-rt run` answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from native.conftest import ROOT, Command, build, run
from ovenbird_runtime.errors import OvenbirdError, one_line
from ovenbird_runtime.model import Model
from ovenbird_runtime.preprocess.images import open_image
from ovenbird_runtime.text import prediction_lines
from support.answer_vectors import same_answers
from support.hostile import change_manifest

PICTURES = ROOT / "conformance" / "pictures"
PHOTOS = [str(PICTURES / name) for name in ("420.jpg", "exif-6.jpg", "colour-16.png", "cmyk.jpg", "filters.png")]


def pipeline(height: int, width: int) -> list[dict[str, Any]]:
    return [
        {"step": "resize", "shorter": 70}, {"step": "random-crop", "size": [height, width]},
        {"step": "normalise", "mean": [0.5], "std": [0.25], "order": "bgr"},
    ]  # fmt: skip


def answering(value: dict[str, Any]) -> None:
    program = next(iter(value["programs"].values()))
    program["preprocess"] = {
        "default": "photos", "pipelines": {"photos": pipeline(48, 48), "photos-32x64": pipeline(32, 64)}
    }  # fmt: skip
    program["postprocess"] = [
        {"step": "embedding", "output": "places"}, {"step": "classification", "output": "logits"},
    ]  # fmt: skip


@pytest.fixture(scope="session")
def segmenter(compiled: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an artifact of two image sizes, with classes, an embedding and a raw mask."""
    built = compiled("networks:segmenter", "--image-sizes", "48,32x64", "--batch-sizes", "1,4")
    copy = Path(shutil.copytree(built, tmp_path_factory.mktemp("segmenter") / "artifact"))
    change_manifest(copy, answering)
    return copy


@pytest.fixture(scope="session")
def model(segmenter: Path) -> Model:
    return ovenbird_runtime.load(segmenter, threads=1)


def test_json_is_that_of_python(native: Command, segmenter: Path, model: Model) -> None:
    expected = model.predict(PHOTOS, seed=7, top=3, embedding=True)
    done = native("run", segmenter, *PHOTOS, "--seed", "7", "--top", "3", "--embedding", "--json", "--threads", "1")
    assert done.code == 0, done.err
    rows = [{"image": name, "target": "host"} | one.to_json() for name, one in zip(PHOTOS, expected, strict=True)]
    same_answers(json.loads(done.out), rows, "run")
    assert expected[0].raw["mask"].shape == (5, 48, 48)


@pytest.mark.parametrize("options", [{}, {"image_size": (32, 64)}, {"preprocess": "photos-32x64"}], ids=str)
def test_lines_are_those_of_python(native: Command, segmenter: Path, model: Model, options: dict[str, Any]) -> None:
    words = [
        word
        for name, value in options.items()
        for word in (f"--{name.replace('_', '-')}", "32x64" if name == "image_size" else value)
    ]
    done = native("run", segmenter, *PHOTOS[:2], "--seed", "1", "--threads", "2", *words)
    assert done.code == 0, done.err
    expected = []
    for name, one in zip(PHOTOS[:2], model.predict(PHOTOS[:2], seed=1, **options), strict=True):
        expected += [one_line(name), *(f"  {line}" for line in prediction_lines(one))]
    assert done.out.splitlines() == expected


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        ("none.jpg", {}), (".", {}), ("truncated.jpg", {}), ("scans.jpg", {}), ("empty", {}),
        ("420.jpg", {"preprocess": "none"}), ("420.jpg", {"image_size": "7x9"}), ("420.jpg", {"image_size": "0"}),
        ("420.jpg", {"max_megapixels": 0.001}), ("420.jpg", {"max_megapixels": -1.0}), ("420.jpg", {"score": 0.5}),
    ],
    ids=str,
)  # fmt: skip
def test_refusals_are_those_of_python(
    native: Command, segmenter: Path, model: Model, picture: str, options: dict[str, Any]
) -> None:
    path = str(PICTURES / picture)
    with pytest.raises(OvenbirdError) as caught:
        model.predict(path, **options)
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    done = native("run", segmenter, path, *words)
    expected = f"error: {type(caught.value).__name__}: {caught.value}"
    if type(caught.value).__name__ == "ImageUnreadable":  # decoders have words of their own
        expected = expected.partition(" cannot be read")[0].partition(" is no image")[0]
    assert done.code == 1
    assert done.err.startswith(expected), (done.err, expected)
    assert len(done.err.splitlines()) == 1


def test_the_c_interface_predicts_as_python_does(segmenter: Path, model: Model) -> None:
    done = run(build() / "ovenbird-predict", segmenter, PHOTOS[0], "7")
    assert done.code == 0, (done.out, done.err)
    first, second, classes, embedding, given = map(json.loads, done.out.splitlines())
    expected = model.predict([PHOTOS[0]] * 2, seed=7, top=3, embedding=True)
    same_answers([first, second], [one.to_json() for one in expected], "json")
    same_answers(classes, [[one.index, one.label, one.confidence] for one in expected[0].top], "classes")
    right = expected[0].embedding
    assert right is not None
    assert right.vector is not None
    first_number = float(right.vector.flat[0])
    same_answers(embedding, {"mean": right.mean, "variance": right.variance, "first": first_number}, "embedding")
    steps = model.manifest.preprocess.pipelines["photos"]
    tensor = model.preprocessor.apply(steps, open_image(PHOTOS[0]), seed=7)
    total = float((tensor.reshape(-1).astype(np.float64) * (np.arange(tensor.size) % 7)).sum())
    same_answers(given, {"name": "image", "rank": 4, "sum": total}, "input")


@pytest.mark.slow
def test_photographs_have_the_same_pixels(photographs: tuple[list[Path], list[int]], tmp_path: Path) -> None:
    """A hundred JPEG files of cameras, through the pipelines that networks mostly have."""
    from ovenbird_runtime.manifest.schema import encode
    from ovenbird_runtime.manifest.steps import Normalise, imagenet, letterbox, zoom_crop_pad
    from support.picture_vectors import pipeline_case

    pipelines = (imagenet(), imagenet(interpolation="bicubic"), zoom_crop_pad(), (*letterbox(416), Normalise()))
    cases = [
        pipeline_case(Path(), str(path), [encode(step) for step in steps], seed)
        for seed, path in enumerate(photographs[0])
        for steps in pipelines
    ]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    done = run(build() / "ovenbird-pictures", tmp_path / "cases.json")
    assert done.out.splitlines() == [case["input"] for case in cases]


def test_pictures_that_cannot_be_read_leave_the_others(
    native: Command, segmenter: Path, model: Model, tmp_path: Path
) -> None:
    """A row for each picture, the others' as they are without it, seeds and all; exit code 1."""
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    names = [str(tmp_path / "nowhere.jpg"), *PHOTOS[:2], str(tmp_path / "bad.jpg"), *PHOTOS[2:]]
    bad = {0: "ImageNotFound", 3: "ImageUnreadable"}
    failures: dict[int, OvenbirdError] = {}
    expected = iter(model.predict(names, seed=7, failed=failures.__setitem__))
    assert {place: type(error).__name__ for place, error in failures.items()} == bad
    done = native("run", segmenter, *names, "--seed", "7", "--json", "--threads", "1")
    rows = json.loads(done.out)
    assert done.code == 1
    assert [row["image"] for row in rows] == names
    for place, row in enumerate(rows):
        head = {"image": names[place], "target": model.target.target}
        if place in bad:
            assert row == head | {"error": row["error"], "type": bad[place]}
            assert f"error: {bad[place]}: {row['error']}" in done.err.splitlines()
        else:
            same_answers(row, head | next(expected).to_json(), names[place])
    assert [line.split(": ")[1] for line in done.err.splitlines() if line.startswith("error")] == [*bad.values()]
    shown = native("run", segmenter, *names, "--seed", "7", "--threads", "1")
    assert shown.code == 1
    assert [line for line in shown.out.splitlines() if not line.startswith(" ")] == [*PHOTOS]


def test_no_picture_can_be_read(native: Command, segmenter: Path) -> None:
    done = native("run", segmenter, "nowhere.jpg", "neither.jpg")
    assert (done.code, done.out) == (1, "")
    assert [line.split(": ")[1] for line in done.err.splitlines() if line.startswith("error")] == ["ImageNotFound"] * 2
