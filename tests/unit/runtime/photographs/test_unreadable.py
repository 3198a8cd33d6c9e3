"""Pictures that cannot be read among others that can: those are answered, as they would be without them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime.cli import main
from ovenbird_runtime.errors import ImageNotFound, ImageTooLarge, ImageUnreadable, OvenbirdError, PipelineError


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Twenty-one: the first, the last and one between are no pictures, one is not there, one is too large."""
    rng, paths = np.random.default_rng(0), []
    for place in range(21):
        pixels = rng.integers(0, 256, (400 if place == 12 else 40 + place, 64, 3), np.uint8)
        paths.append(tmp_path / f"{place:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    for place in (0, 11, 20):
        paths[place].write_bytes(b"no picture")
    paths[5].unlink()
    return paths


BAD = {0: ImageUnreadable, 5: ImageNotFound, 11: ImageUnreadable, 12: ImageTooLarge, 20: ImageUnreadable}
LARGEST = 0.02
"""Megapixels: 64x60 are fewer, 64x400 more."""


def session(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("jobs", [0, 1, 3])
def test_the_others_are_answered_as_they_are_alone(
    model: ovenbird_runtime.Model, photos: list[Path], jobs: int
) -> None:
    failures: dict[int, OvenbirdError] = {}
    found = model.predict(
        photos, "zoom-crop-pad", seed=3, jobs=jobs, max_megapixels=LARGEST, failed=failures.__setitem__
    )
    assert {place: type(error) for place, error in failures.items()} == BAD
    assert all(error.__traceback__ is None for error in failures.values())  # it would keep pictures in memory
    whole = list(photos)
    for place in BAD:
        whole[place] = photos[1]
    alone = [
        one
        for place, one in enumerate(model.predict(whole, "zoom-crop-pad", seed=3, max_megapixels=LARGEST))
        if place not in BAD
    ]
    assert [one.to_json() for one in found] == [one.to_json() for one in alone]
    assert len({json.dumps(one.to_json()) for one in found}) == len(photos) - len(BAD)
    assert [str(one.source) for one in found] == [str(one.source) for one in alone]  # each with its own photograph


@pytest.mark.parametrize("jobs", [0, 2])
def test_no_picture_can_be_read(model: ovenbird_runtime.Model, photos: list[Path], jobs: int) -> None:
    failures: dict[int, OvenbirdError] = {}
    assert model.predict([photos[0], photos[5]], jobs=jobs, failed=failures.__setitem__) == []
    assert sorted(failures) == [0, 1]


def test_who_does_not_listen_gets_the_first_error(model: ovenbird_runtime.Model, photos: list[Path]) -> None:
    with pytest.raises(ImageUnreadable, match=r"00\.png"):
        model.predict(photos)


def test_what_is_no_fault_of_a_picture_ends_the_call(model: ovenbird_runtime.Model, photos: list[Path]) -> None:
    with pytest.raises(PipelineError, match="'nonsense' is unknown"):
        model.predict(photos, "nonsense", failed=lambda *_: pytest.fail("it is no picture's"))


def test_run_prints_the_answers_and_a_line_for_each_that_has_none(tiny: Path, photos: list[Path]) -> None:
    names = [str(photo) for photo in photos]
    result = session("run", tiny, *names, "--max-megapixels", LARGEST)
    assert result.exit_code == 1
    shown = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert shown == [name for place, name in enumerate(names) if place not in BAD]
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in errors] == [kind.__name__ for kind in BAD.values()]
    assert all(f"'{place:02}.png'" in line for place, line in zip(BAD, errors, strict=True))


def test_run_prints_a_row_a_picture(tiny: Path, photos: list[Path]) -> None:
    names = [str(photo) for photo in photos]
    result = session("run", tiny, *names, "--json", "--max-megapixels", LARGEST)
    rows = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [row["image"] for row in rows] == names
    assert {place: row["type"] for place, row in enumerate(rows) if "error" in row} == {
        place: kind.__name__ for place, kind in BAD.items()
    }
    assert all(("classes" in row) == (place not in BAD) for place, row in enumerate(rows))


def test_debug_ends_at_the_first_with_its_traceback(tiny: Path, photos: list[Path]) -> None:
    assert isinstance(session("run", tiny, *photos, "--debug").exception, ImageUnreadable)


def test_what_can_be_drawn_is_saved(tiny: Path, photos: list[Path], tmp_path: Path) -> None:
    result = session("run", tiny, photos[0], photos[1], "--save", tmp_path / "drawn")
    assert result.exit_code == 1
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["01.png"]  # a folder, as for two pictures
