"""Pictures with boxes: drawn where they are, legible at any size, written where they are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime.cli import main
from ovenbird_runtime.errors import WrongOption
from ovenbird_runtime.photographs.annotated import save_annotated
from ovenbird_runtime.postprocess.boxes import Box
from ovenbird_runtime.postprocess.drawing import colour_of, draw
from ovenbird_runtime.postprocess.masks import Mask
from support.tiny_artifact import detector_artifact

GREY = (128, 128, 128)


def session(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["run", str(detector_artifact()), *map(str, arguments)])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (200, 100), (255, 255, 255)).save(path)
    return path


def test_a_box_is_drawn_where_it_is() -> None:
    image = Image.new("RGB", (400, 400), GREY)
    drawn = np.asarray(draw(image, [Box("dog", 0, 0.9, (100.0, 150.0, 300.0, 350.0))]))
    coloured = (drawn == colour_of(0)).all(axis=2)
    assert drawn.shape == (400, 400, 3)
    assert coloured[150:350, 100].all()
    assert coloured[150:350, 299].all()
    assert coloured[349, 100:300].all()
    assert not coloured[:, 301:].any()
    assert (drawn[200:300, 150:250] == GREY).all()
    assert np.asarray(image).max() == 128  # the caller's own is as it was


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (4000, 3000), (37, 11)])
def test_labels_can_be_read_at_any_size(size: tuple[int, int]) -> None:
    box = Box("a label of some length", 0, 0.9, (0.0, 0.0, float(size[0]), float(size[1])))
    drawn = draw(Image.new("RGB", size, GREY), [box])
    coloured = (np.asarray(drawn) == colour_of(0)).all(axis=2)
    assert coloured.any(axis=0).sum() > 100  # the label's own width
    assert coloured.any(axis=1).sum() >= 12
    assert max(drawn.size) <= 2 * max(*size, 320)


def test_no_line_goes_through_a_label() -> None:
    lower, better = Box("dog", 0, 0.5, (100.0, 150.0, 300.0, 350.0)), Box("cat", 1, 0.9, (20.0, 60.0, 120.0, 390.0))
    alone, both = (np.asarray(draw(Image.new("RGB", (400, 400), GREY), boxes)) for boxes in ([lower], [better, lower]))
    label = (alone[:149] != GREY).any(axis=2)
    assert label[:, 117:120].any()
    assert (alone[:149][label] == both[:149][label]).all()


def test_masks_and_keypoints_are_drawn() -> None:
    mask = Mask(np.ones((4, 4), np.float32), (100.0, 100.0, 300.0, 300.0), (400, 400))
    points = ((200.0, 200.0, 0.9), (float("nan"), 0.0, 0.1), (1e30, 5.0, 0.1))
    drawn = np.asarray(
        draw(Image.new("RGB", (400, 400), GREY), [Box("x", 0, 0.9, (100.0, 100.0, 300.0, 300.0), mask, points)])
    )
    assert tuple(drawn[200, 200]) == colour_of(0)
    assert tuple(drawn[250, 250]) not in (GREY, colour_of(0))
    assert tuple(drawn[50, 350]) == GREY


def test_run_saves_the_picture(photo: Path, tmp_path: Path) -> None:
    result = session(photo, "--save", tmp_path / "out.jpg", "--max-det", "1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[1:] == ["  1. dog (boxes 0): 90.00 % at 25,12 to 125,88"]
    with Image.open(tmp_path / "out.jpg") as drawn:
        assert drawn.format == "JPEG"


def test_run_saves_several_into_a_folder(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = Path(photo.rename(tmp_path / "other" / "photo.png"))
    Image.new("RGB", (20, 10)).save(photo)
    assert session(photo, twin, "--save", tmp_path / "out", "--conf", "0.5").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photo-1.png", "photo.png"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("out.txt", "'out.txt' is no picture's name: expected .jpg, .jpeg, .png, .webp"),
        ("photo.png", "'photo.png' is the image itself: give another name"),
        ("nowhere/out.png", "'out.png' cannot be written: No such file or directory"),
    ],
)
def test_other_names_are_refused(photo: Path, tmp_path: Path, target: str, words: str) -> None:
    result = session(photo, "--save", tmp_path / target)
    assert result.exit_code == 1
    assert words in result.stderr
    with Image.open(photo) as image:
        assert np.asarray(image).min() == 255


@pytest.mark.parametrize(("kind", "longest"), [("webp", 16_383), ("jpg", 65_500)])
def test_a_format_that_cannot_hold_the_picture_is_told(photo: Path, tmp_path: Path, kind: str, longest: int) -> None:
    Image.new("RGB", (longest + 100, 10)).save(photo)
    result = session(photo, "--save", tmp_path / f"out.{kind}")
    assert result.exit_code == 1
    assert f"OutputNotWritten: 'out.{kind}' cannot be written: " in result.stderr
    assert not (tmp_path / f"out.{kind}").exists()


def test_numbers_alone_are_nothing_to_draw(tiny: Path, photo: Path, tmp_path: Path) -> None:
    with ovenbird_runtime.load(tiny) as model:
        found = [replace(one, answers={"embeddings": one.embeddings}) for one in model.predict(photo)]
    with pytest.raises(WrongOption, match="answers with numbers alone: there is nothing to draw"):
        save_annotated([photo], found, tmp_path / "out.png", 50.0)
