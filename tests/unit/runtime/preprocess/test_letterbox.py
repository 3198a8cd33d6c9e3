"""OpenCV's resize bit for bit, letterboxes, and the way back from them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.errors import PipelineError
from ovenbird_runtime.manifest.steps import Normalise, Pad, Resize, letterbox, output_size
from ovenbird_runtime.preprocess.interpreted import prepare
from ovenbird_runtime.preprocess.linear import resize_linear
from support.pictures import noise

SIZES = [(500, 375), (375, 500), (1024, 768), (100, 100), (57, 33), (50, 1), (1, 50), (3, 3), (416, 416), (640, 424)]
TARGETS = [(224, 224), (416, 300), (7, 900), (320, 320), (1, 1), (250, 187)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resizing_is_opencv_s(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = np.asarray(noise(*size))
    for target in (*TARGETS, (2 * size[0], 2 * size[1]), (max(1, size[0] // 2), max(1, size[1] // 2))):
        expected = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(resize_linear(pixels, target), expected, err_msg=str(target))


def test_a_letterbox_is_the_image_within_its_value() -> None:
    tensor, frame = prepare((*letterbox((64, 96), value=(114, 7, 0)), Normalise(scale=1.0)), noise(200, 100))
    assert tensor.shape == (3, 64, 96)
    inner = resize_linear(np.asarray(noise(200, 100)), (96, 48)).transpose(2, 0, 1)
    np.testing.assert_array_equal(tensor[:, 8:56], inner)
    for channel, value in enumerate((114, 7, 0)):
        assert (tensor[channel, :8] == value).all()
        assert (tensor[channel, 56:] == value).all()
    assert frame.to_original(0.0, 8.0) == (0.0, 0.0)
    assert frame.to_original(96.0, 56.0) == (200.0, 100.0)


def test_nothing_around_is_zero_after_normalising() -> None:
    normalise = Normalise(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    steps = letterbox(64, value=None, place="top-left", interpolation="bilinear")
    for layout in ("CHW", "HWC"):
        tensor, frame = prepare(
            (*steps, Normalise(normalise.step, normalise.mean, normalise.std, layout=layout)), noise(50, 100)
        )
        planes = tensor if layout == "CHW" else tensor.transpose(2, 0, 1)
        assert (planes[:, :, 32:] == 0).all()
        inner, _ = prepare((Resize(exact=(64, 32)), normalise), noise(50, 100))
        np.testing.assert_array_equal(planes[:, :, :32], inner)
        assert frame.to_original(32.0, 64.0) == (50.0, 100.0)


@pytest.mark.parametrize(
    ("size", "steps", "inner"),
    [
        ((30, 20), letterbox(64, enlarge=False), (30, 20)),
        ((30, 20), letterbox(64), (64, 43)),
        ((30, 20), letterbox(64, rounding="down"), (64, 42)),
        ((800, 600), letterbox((800, 1344), within=(800, 1333)), (1067, 800)),
        ((1, 20000), letterbox(64), (1, 64)),
    ],
)
def test_the_fitted_size(size: tuple[int, int], steps: tuple[Resize, Pad], inner: tuple[int, int]) -> None:
    _, frame = prepare((*steps, Normalise()), Image.new("RGB", size))
    assert frame.size == steps[1].size[::-1]
    left, top = frame.to_input(0.0, 0.0)
    right, bottom = frame.to_input(*map(float, size))
    assert (round(right - left), round(bottom - top)) == inner
    assert output_size(steps) == steps[1].size


def test_an_image_that_does_not_fit_is_refused() -> None:
    with pytest.raises(PipelineError, match="pad to 10x10 cannot hold an image of 11x5"):
        prepare((Pad(size=(10, 10), place="top-left"),), noise(11, 5))
