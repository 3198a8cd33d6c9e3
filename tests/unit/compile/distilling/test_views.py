"""Pictures are parted once, views differ by step and are the same for both networks, and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovenbird.distilling.views import Album
from ovenbird.errors import UsageError
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Resize

SMALL = (Resize(shorter=8), CentreCrop(size=(8, 8)), Normalise(mean=(0.0,), std=(1.0,)))
LARGE = (Resize(shorter=16), CentreCrop(size=(16, 16)), Normalise(mean=(0.0,), std=(1.0,)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty pictures, each in a grey of its own, some in folders below, and a file that is none."""
    for place in range(20):
        inner = tmp_path / ("a" if place % 2 else "b")
        inner.mkdir(exist_ok=True)
        Image.new("RGB", (40 + place, 30), (place * 10,) * 3).save(inner / f"{place}.png")
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


def test_a_fifth_is_held_back_and_never_learned_from(folder: Path) -> None:
    album = Album.of(folder, seed=0)
    assert (len(album.learned), len(album.held)) == (16, 4)
    assert not set(album.learned) & set(album.held)
    assert Album.of(folder, seed=0) == album
    assert Album.of(folder, seed=1).held != album.held
    greys = {round(float(image.mean()) * 255) // 10 for step in range(20) for image in album.views(8, step, [SMALL])[0]}
    assert greys == {int(path.stem) for path in album.learned}


def test_views_are_of_the_step_and_the_same_for_both_networks(folder: Path) -> None:
    album = Album.of(folder, seed=0)
    first, large = album.views(4, 7, [SMALL, LARGE])
    assert (first.shape, large.shape) == ((4, 3, 8, 8), (4, 3, 16, 16))
    np.testing.assert_allclose(first.mean((1, 2, 3)), large.mean((1, 2, 3)), atol=0.01)
    np.testing.assert_array_equal(first, album.views(4, 7, [SMALL])[0])
    assert not np.array_equal(first, album.views(4, 8, [SMALL])[0])


def test_a_view_is_a_part_of_the_picture(tmp_path: Path) -> None:
    """Of a ramp from black to white, parts have less of the range, and some are mirrored."""
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    for place in range(10):
        Image.fromarray(np.stack([ramp] * 3, -1)).save(tmp_path / f"{place}.png")
    views = Album.of(tmp_path, seed=0).views(40, 0, [SMALL])[0]
    rises = views[:, 0, 4, -1] - views[:, 0, 4, 0]
    assert 8 < (rises > 0).sum() < 32
    assert np.abs(rises).min() < 0.7 < np.abs(rises).max()


def test_too_few_pictures(tmp_path: Path) -> None:
    for place in range(9):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{place}.png")
    with pytest.raises(UsageError, match="9 pictures, at least 10"):
        Album.of(tmp_path, seed=0)
