"""Photographs prepared ahead of the network: in order, at the same time, bounded, and ended by what fails."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime.cli import main
from ovenbird_runtime.console.speed import speed_shown
from ovenbird_runtime.errors import ImageUnreadable, WrongOption
from ovenbird_runtime.photographs.ahead import ahead, portion_sizes


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Twenty, no two alike."""
    rng, paths = np.random.default_rng(0), []
    for place in range(20):
        pixels = rng.integers(0, 256, (40 + place, 64, 3), np.uint8)
        paths.append(tmp_path / f"{place:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.mark.parametrize("jobs", [1, 3])
def test_answers_are_those_of_one_after_the_other(model: ovenbird_runtime.Model, photos: list[Path], jobs: int) -> None:
    seen: list[tuple[int, int]] = []
    alone = model.predict(photos, seed=3)
    found = model.predict(photos, seed=3, jobs=jobs, progress=lambda *counts: seen.append(counts))
    assert [one.to_json() for one in found] == [one.to_json() for one in alone]
    assert len({one.to_json()["classes"]["logits"][0]["confidence"] for one in alone}) > 10
    assert seen == [(done, 20) for done in (1, 3, 7, 14, 17, 19, 20)]


def test_the_next_are_prepared_while_the_caller_has_a_portion() -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def prepare(place: int, source: str) -> str:
        begun.release()
        if place >= 2:
            assert go_on.wait(60)
        return source * 2

    portions = ahead(prepare, "abcdef", 2, 1)
    assert [next(portions), begun.acquire(timeout=60)] == [["aa"], True]
    for _ in range(2):
        assert begun.acquire(timeout=60)  # the third is in work, and we have the first
    go_on.set()
    assert [*portions] == [["bb", "cc"], ["dd", "ee"], ["ff"]]


@pytest.mark.parametrize("most", [1, 3, 8])
def test_portions_are_small_at_both_ends(most: int) -> None:
    for count in range(200):
        sizes = [*portion_sizes(count, most)]
        assert sum(sizes) == count
        assert max(sizes, default=0) <= most
        assert [*sizes[:1], *sizes[-1:]] == ([1, 1] if count else [])
        rising = sizes[: 1 + sizes.index(max(sizes))] if sizes else []
        assert rising == sorted(rising)
    assert [*portion_sizes(24, 8)] == [1, 2, 4, 8, 5, 2, 1, 1]


def test_what_is_ahead_is_bounded() -> None:
    begun: list[int] = []
    portions = ahead(lambda place, _: begun.append(place), range(1000), 4, 2)
    next(portions)
    before = -1
    while before != (before := len(begun)):  # until it stands still
        time.sleep(0.2)
    assert len(begun) <= 4 + (4 + 2)
    portions.close()  # type: ignore[attr-defined]


def test_a_damaged_photograph_ends_the_call(model: ovenbird_runtime.Model, photos: list[Path]) -> None:
    photos[11].write_bytes(b"no picture")
    with pytest.raises(ImageUnreadable, match=r"11\.png"):
        model.predict(photos, jobs=2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ovenbird-prepare")]


@pytest.mark.parametrize("jobs", [-1, 65, 1.5, True])
def test_other_numbers_are_refused(model: ovenbird_runtime.Model, photos: list[Path], jobs: object) -> None:
    with pytest.raises(WrongOption, match=r"jobs is .*, expected a whole number from 0 to 64"):
        model.predict(photos, jobs=jobs)  # type: ignore[arg-type]


def test_run_shows_the_speed(tiny: Path, photos: list[Path]) -> None:
    result = CliRunner().invoke(main, ["run", str(tiny), *map(str, photos), "--jobs", "2"])
    assert result.exit_code == 0
    assert len([line for line in result.stdout.splitlines() if not line.startswith(" ")]) == 20
    assert "20 of 20 images, " in result.stderr
    assert result.stderr.rstrip().endswith(" images/s")


def test_nothing_is_shown_where_nobody_asked(tiny: Path, photos: list[Path]) -> None:
    result = CliRunner().invoke(main, ["run", str(tiny), *map(str, photos[:2])])
    assert "images/s" not in result.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_moving_line() -> None:
    stream = Terminal()
    with speed_shown(True, stream) as progress:
        assert progress is not None
        progress(1, 2)
        progress(2, 2)
    assert stream.getvalue().count("\r") == 3
    assert stream.getvalue().count("\n") == 1
