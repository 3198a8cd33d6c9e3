"""The way back to the photograph: where a spot of it is in the network's input, and back, by both pre-processors."""

from __future__ import annotations

import io
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ovenbird_runtime
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pad, Pipeline, RandomCrop, Resize, Zoom, imagenet
from ovenbird_runtime.preprocess.images import open_pixels
from ovenbird_runtime.preprocess.interpreted import prepare
from ovenbird_runtime.preprocess.pixels import Picture
from ovenbird_runtime.preprocess.preprocessor import Preprocessor
from ovenbird_runtime.tensors.frame import Frame

COMPILED = Path(__file__).parents[3] / "support" / "schema1" / "classifier"
SIZES = [(500, 375), (375, 500), (333, 251), (97, 101), (641, 199), (64, 64)]
PIPELINES: dict[str, Pipeline] = {
    "imagenet": imagenet(64, 80),
    "letterbox": (Resize(fit=(96, 80)), Pad(size=(96, 81), value=0), Normalise()),
    "exact": (Resize(exact=(61, 77), interpolation="bicubic"), Normalise()),
    "zoom and crop": (Zoom(factor=0.7), RandomCrop(size=(40, 50)), Pad(size=(64, 61)), Normalise()),
    "crop beyond the edge": (Resize(shorter=50), CentreCrop(size=(71, 300)), Normalise()),
    "crop, then resize": (CentreCrop(size=(60, 61)), Resize(exact=(90, 33)), Normalise()),
}


@pytest.fixture(scope="module")
def compiled() -> Iterator[Preprocessor]:
    """The compiled code of an artifact; its kernel is the same in all."""
    if platform.machine() != "x86_64":
        pytest.skip("the code in this artifact is for x86-64")
    with ovenbird_runtime.load(COMPILED, threads=1) as model:
        assert model.target.resample
        yield model.preprocessor


def spotted(size: tuple[int, int], spot: tuple[float, float]) -> Image.Image:
    """Return a black picture with a soft white spot around a place."""
    across, down = (np.arange(extent) + 0.5 for extent in size)
    distance = np.square(across[None, :] - spot[0]) + np.square(down[:, None] - spot[1])
    grey = np.round(255 * np.exp(-distance / (2 * 6.0**2))).astype(np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))


def centre_of(tensor: np.ndarray) -> tuple[float, float]:
    """Return where the light of a tensor [3, height, width] is, its least being none."""
    light = tensor[0] - tensor[0].min()
    across, down = (np.arange(extent) + 0.5 for extent in (light.shape[1], light.shape[0]))
    return float((light.sum(axis=0) * across).sum() / light.sum()), float(
        (light.sum(axis=1) * down).sum() / light.sum()
    )


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_spot_is_where_the_frame_says(size: tuple[int, int], name: str) -> None:
    pipeline = PIPELINES[name]
    _, frame = prepare(pipeline, Image.new("RGB", size), seed=5, index=2)
    inside = frame.to_original(frame.size[0] / 2 + 3, frame.size[1] / 2 - 2)  # not in the middle, well inside
    tensor, again = prepare(pipeline, spotted(size, inside), seed=5, index=2)
    assert again == frame
    assert frame.original == size
    assert tensor.shape[1:] == (frame.size[1], frame.size[0])
    assert frame.to_input(*inside) == pytest.approx((frame.size[0] / 2 + 3, frame.size[1] / 2 - 2))
    assert centre_of(tensor) == pytest.approx(frame.to_input(*inside), abs=0.5)


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_compiled_and_interpreted_agree(compiled: Preprocessor, size: tuple[int, int], name: str) -> None:
    image = spotted(size, (size[0] / 3, size[1] / 2))
    expected, frame = prepare(PIPELINES[name], image, seed=5, index=2)
    found, same = compiled.prepare(PIPELINES[name], image, seed=5, index=2)
    assert same == frame
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", range(1, 9))
def test_places_are_those_of_the_upright_photograph(compiled: Preprocessor, value: int) -> None:
    upright = spotted((301, 203), (120.0, 90.0))
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(back[value]) if value > 1 else upright
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = value
    stored.save(file, "PNG", exif=exif)
    opened = open_pixels(file.getvalue())
    pipeline: Pipeline = (Resize(shorter=101), CentreCrop(size=(95, 97)), Normalise())
    for tensor, frame in (
        compiled.prepare(pipeline, opened),
        prepare(pipeline, opened.to_image() if isinstance(opened, Picture) else opened),
    ):
        assert frame.original == (301, 203)
        assert frame.to_original(*centre_of(tensor)) == pytest.approx((120.0, 90.0), abs=0.7)


def test_a_place_finds_its_way_there_and_back() -> None:
    frame = Frame.of((333, 251)).resized((80, 61)).cropped(7, -3, (50, 70)).centred((64, 71))
    for place in ((0.0, 0.0), (333.0, 251.0), (-5.0, 12.25)):
        assert frame.to_original(*frame.to_input(*place)) == pytest.approx(place)
    assert Frame.of((5, 7)).to_input(1.5, 2.5) == (1.5, 2.5)
