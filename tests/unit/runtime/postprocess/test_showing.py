"""Predictions as notebooks show them, and classes and texts below a saved photograph; what is hostile stays text."""

from __future__ import annotations

import base64
import copy
import gc
import io
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime.cli import main
from ovenbird_runtime.console.html import Html, bar, element, escaped, table
from ovenbird_runtime.postprocess.band import LEAST_LETTERS_A_LINE, MAX_LINES, with_lines
from ovenbird_runtime.postprocess.boxes import BOXES, Box
from ovenbird_runtime.postprocess.classes import ClassScore
from ovenbird_runtime.postprocess.drawing import colour_of
from ovenbird_runtime.postprocess.prediction import Prediction
from ovenbird_runtime.postprocess.showing import MAX_ROWS, SHOWN_PIXELS, drawn_into, has_drawing
from ovenbird_runtime.postprocess.text import TEXTS, TextAnswer
from support.tiny_artifact import detector_artifact

WHITE = (255, 255, 255)
HOSTILE = '<script>alert("x")</script>&\x1b[31m'


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (900, 600), WHITE).save(path)
    return path


@pytest.fixture
def prediction(model: ovenbird_runtime.Model, photo: Path) -> Prediction:
    return model.predict(photo, top=2, embedding=True)[0]


def pictures_in(page: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([A-Za-z0-9+/=]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_markup_is_escaped_where_it_is_made() -> None:
    assert element("b", HOSTILE) == "<b>&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;\\x1b[31m</b>"
    assert element("i", element("b", "x"), title='"') == '<i title="&quot;"><b>x</b></i>'
    assert escaped(Html("<hr>")) == "<hr>"
    assert table((), [("<",)]).count("&lt;") == 1


@pytest.mark.parametrize(("share", "pixels"), [(0.5, 60), (-1, 0), (7, 120), (float("nan"), 0), (float("inf"), 120)])
def test_bars_stay_within_their_place(share: float, pixels: int) -> None:
    assert f"width:{pixels}px;height" in bar(share)


def test_a_notebook_shows_photograph_and_answers(prediction: Prediction) -> None:
    page = prediction._repr_html_()
    (picture,) = pictures_in(page)
    assert max(picture.size) == SHOWN_PIXELS
    assert all(one.label in page and f"{one.confidence:.2%}" in page for one in prediction.top)
    assert "embedding: mean" in page
    assert len(page) < 60_000


def test_labels_of_strangers_stay_text(prediction: Prediction) -> None:
    box = Box(HOSTILE, 0, 0.9, (1.0, 1.0, 5.0, 5.0))
    answers = {
        "classes": {HOSTILE: (ClassScore(0, HOSTILE, 0.5),)},
        BOXES.field: {HOSTILE: (box,) * (MAX_ROWS + 3)},
        TEXTS.field: {HOSTILE: TextAnswer(HOSTILE)},
        "raw": {HOSTILE: np.zeros(3)},
    }
    page = replace(prediction, answers=answers, model=HOSTILE, preprocess=HOSTILE)._repr_html_()
    assert "<script" not in page
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;") == 5 + MAX_ROWS
    assert "and 3 more" in page


def test_boxes_are_drawn_into_the_picture(photo: Path) -> None:
    with ovenbird_runtime.load(detector_artifact()) as detector:
        found = detector.predict(photo, max_boxes=1)[0]
    assert "dog" in found._repr_html_()
    (picture,) = pictures_in(found._repr_html_())
    assert np.asarray(picture).min() < 200  # lines on white


def test_random_weights_are_said_loudly(prediction: Prediction) -> None:
    random = replace(prediction, weights=replace(prediction.weights, random=True))
    assert "RANDOM WEIGHTS" in random._repr_html_()
    trained = replace(prediction, weights=replace(prediction.weights, random=False))
    assert "RANDOM WEIGHTS" not in trained._repr_html_()


def test_a_photograph_that_is_gone_is_left_out(
    model: ovenbird_runtime.Model, prediction: Prediction, photo: Path
) -> None:
    photo.unlink()
    assert pictures_in(prediction._repr_html_()) == []
    kept = Image.new("RGB", (50, 50))
    shown = model.predict(kept)[0]
    assert len(pictures_in(shown._repr_html_())) == 1
    del kept
    gc.collect()
    assert pictures_in(shown._repr_html_()) == []  # a prediction holds no pixels
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50)).save(buffer, "PNG")
    assert pictures_in(model.predict(buffer.getvalue())[0]._repr_html_()) == []


def test_predictions_go_to_other_processes(model: ovenbird_runtime.Model, prediction: Prediction) -> None:
    again = pickle.loads(pickle.dumps(replace(prediction, answers={})))
    assert len(pictures_in(again._repr_html_())) == 1
    own = Image.new("RGB", (50, 50))
    assert pickle.loads(pickle.dumps(model.predict(own)[0]))._repr_html_()
    assert copy.deepcopy(replace(prediction, answers={})) == replace(prediction, answers={})


def test_lines_stand_below_the_photograph() -> None:
    image = Image.new("RGB", (600, 400), WHITE)
    drawn = np.asarray(with_lines(image, ["tabby 61.2 %"]))
    assert (drawn[:400] == 255).all()
    assert drawn.shape[0] > 412
    assert (drawn[400:] > 200).any()
    two = with_lines(image, ["tabby", "tiger cat"])
    assert two.height > drawn.shape[0]
    assert with_lines(image, []).size == image.size


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (4000, 30)])
@pytest.mark.parametrize("line", ["word " * 30, "x" * 500, HOSTILE, "", " "])
def test_long_lines_are_broken(size: tuple[int, int], line: str) -> None:
    drawn = with_lines(Image.new("RGB", size, WHITE), [line] * 3)
    assert drawn.height < size[1] + (MAX_LINES + 2) * 90
    assert drawn.width >= min(LEAST_LETTERS_A_LINE * 5, 4000)


def test_everything_is_drawn_together(prediction: Prediction) -> None:
    box = Box("dog", 0, 0.9, (10.0, 10.0, 50.0, 50.0))
    both = replace(prediction, answers={**prediction.answers, BOXES.field: {"boxes": (box,)}})
    drawn = np.asarray(drawn_into(Image.new("RGB", (400, 400), WHITE), both))
    assert (drawn[:400] == colour_of(0)).all(axis=2).any()
    assert len(drawn) > 400
    assert has_drawing(both)
    assert not has_drawing(replace(both, answers={"embeddings": {}}))


def test_run_saves_a_classifier_s_answer(tiny: Path, photo: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["run", str(tiny), str(photo), "--save", str(tmp_path / "out.png")])
    assert result.exit_code == 0, result.stderr
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.width == 900
        assert drawn.height > 600
