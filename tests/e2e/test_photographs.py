"""Real photographs, decoded without Pillow, have Pillow's pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ovenbird_runtime.preprocess.images import open_image, open_pixels
from ovenbird_runtime.preprocess.pixels import Picture

pytest.importorskip("simplejpeg", reason="simplejpeg is not installed (extra jpeg)")


def test_pixels_are_pillow_s(photographs: tuple[list[Path], list[int]]) -> None:
    jpegs = [path for path in photographs[0] if path.read_bytes().startswith(b"\xff\xd8\xff")]
    pictures = {path: picture for path in jpegs if isinstance(picture := open_pixels(path), Picture)}
    assert len(pictures) >= 0.9 * len(jpegs) >= 80  # the others must be turned, or have unusual colours
    for path, picture in pictures.items():
        np.testing.assert_array_equal(picture.array[:, :, :3], np.asarray(open_image(path)))
