"""Pipelines: torchvision's arithmetic bit for bit where it has the same steps, and repeatable randomness."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.errors import ImageTooLarge, PipelineError
from ovenbird_runtime.manifest.steps import (
    CentreCrop,
    Normalise,
    Pad,
    Pipeline,
    RandomCrop,
    Resize,
    Zoom,
    imagenet,
    zoom_crop_pad,
)
from ovenbird_runtime.preprocess.interpreted import Draws, apply
from support.pictures import noise

SIZES = [(640, 480), (480, 640), (224, 224), (100, 37), (37, 100), (256, 256), (1000, 301), (1, 1), (3, 500)]


def torchvision() -> Any:
    """Import torchvision.transforms with any torch, or skip."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    for name in ("nms", "qnms"):  # a CPU torch with torchvision's CUDA wheel lacks these two
        with contextlib.suppress(RuntimeError):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    try:
        import torchvision.transforms as transforms
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"no torchvision: {error}")
    return transforms


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_imagenet_is_torchvision_s(size: tuple[int, int], interpolation: Any) -> None:
    t = torchvision()
    image = noise(*size)
    reference = t.Compose(
        [
            t.Resize(256, interpolation=getattr(t.InterpolationMode, interpolation.upper())),
            t.CenterCrop(224),
            t.ToTensor(),
            t.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    ours = apply(imagenet(interpolation=interpolation), image)
    np.testing.assert_array_equal(ours, reference(image).numpy())


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_grey_pictures_are_torchvision_s(layout: Any) -> None:
    t = torchvision()
    image = noise(37, 50)
    reference = t.Compose(
        [t.Grayscale(), t.Resize(28), t.CenterCrop(32), t.ToTensor(), t.Normalize((0.1307,), (0.3081,))]
    )(image).numpy()
    normalise = Normalise(mean=(0.1307,), std=(0.3081,), order="grey", layout=layout)
    steps = (Resize(shorter=28), CentreCrop(size=(32, 32)), normalise)
    right = reference if layout == "CHW" else reference.transpose(1, 2, 0)
    np.testing.assert_array_equal(apply(steps, image), right)
    with pytest.raises(PipelineError, match="one mean and one std where pictures are grey"):
        apply((Normalise(mean=(0.1, 0.2, 0.3), order="grey"),), image)


@pytest.mark.parametrize("size", [(1, 1), (10, 300), (301, 11), (99, 99), (223, 224)], ids=str)
def test_centre_crop_pads_as_torchvision(size: tuple[int, int]) -> None:
    t = torchvision()
    image = noise(*size)
    ours = apply((CentreCrop(size=(101, 98)),), image)
    np.testing.assert_array_equal(ours, t.Compose([t.CenterCrop((101, 98)), t.ToTensor()])(image).numpy())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_zoom_crop_and_pad_give_the_size_asked_for(size: tuple[int, int]) -> None:
    image = noise(*size)
    result = apply(zoom_crop_pad(), image, seed=5)
    assert result.shape == (3, 224, 224)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    border = -mean / std
    for row in (0, 61, 162, 223):
        np.testing.assert_array_equal(result[:, row, :], np.repeat(border[:, None], 224, axis=1))
        np.testing.assert_array_equal(result[:, :, row], np.repeat(border[:, None], 224, axis=1))
    zoomed = image.resize((max(1, round(size[0] * 1.5)), max(1, round(size[1] * 1.5))), Image.Resampling.BILINEAR)
    draws = Draws(5, 0)
    if min(zoomed.size) >= 100:
        top, left = draws.below(zoomed.size[1] - 99), draws.below(zoomed.size[0] - 99)
        crop = np.asarray(zoomed)[top : top + 100, left : left + 100]
        inside = (crop.astype(np.float32) / np.float32(255) - mean) / std
        np.testing.assert_array_equal(result[:, 62:162, 62:162], inside.transpose(2, 0, 1))


def test_a_seed_decides_a_random_crop() -> None:
    image, pipeline = noise(400, 300), zoom_crop_pad()
    same = [apply(pipeline, image, seed=1) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], apply(pipeline, image, seed=2))
    assert not np.array_equal(same[0], apply(pipeline, image, seed=1, index=1))


def test_draws_are_the_published_splitmix64() -> None:
    """The first numbers of the reference implementation for seed 1234567, whose high bits `below` takes."""
    draws = Draws(1234567, 0)
    assert [draws.below(1 << 64) for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_draws_are_even() -> None:
    counts = Counter(Draws(seed, index).below(6) for seed in range(300) for index in range(20))
    assert set(counts) == set(range(6))
    assert all(850 < count < 1150 for count in counts.values())
    assert Draws(3, 3).below(1) == 0


@pytest.mark.parametrize(
    ("step", "size", "expected"),
    [
        (Resize(shorter=256), (640, 480), (341, 256)),
        (Resize(shorter=256), (480, 640), (256, 341)),
        (Resize(exact=(10, 20)), (640, 480), (20, 10)),
        (Resize(fit=(416, 416)), (640, 480), (416, 312)),
        (Resize(fit=(416, 416)), (480, 640), (312, 416)),
        (Resize(fit=(100, 200)), (1, 1000), (1, 100)),
        (Zoom(factor=1.5), (101, 3), (152, 4)),
        (Zoom(factor=0.02), (10, 10), (1, 1)),
        (CentreCrop(size=(5, 7)), (100, 100), (7, 5)),
        (RandomCrop(size=(5, 7)), (100, 100), (7, 5)),
        (RandomCrop(size=(5, 7)), (2, 2), (7, 5)),
        (Pad(size=(50, 60)), (10, 20), (60, 50)),
    ],
)
def test_every_step_gives_its_size(step: Any, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert apply((step,), noise(*size)).shape == (3, expected[1], expected[0])


def test_pad_value_and_place() -> None:
    result = apply((Pad(size=(3, 4), value=51), Normalise(scale=1.0)), Image.new("RGB", (1, 2), (255, 0, 0)))
    np.testing.assert_array_equal(result[0], [[51, 255, 51, 51], [51, 255, 51, 51], [51, 51, 51, 51]])


def test_normalising_takes_an_order_and_a_layout() -> None:
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    step = Normalise(mean=(1, 2, 3), std=(1, 2, 3), scale=1.0, order="bgr", layout="HWC")
    np.testing.assert_array_equal(apply((step,), image), np.float32([[[9, 9, 9]] * 2]))
    assert apply((Normalise(mean=(0.5,), std=(0.5,)),), image).max() < 0


BAD: list[tuple[Pipeline, str]] = [
    ((Resize(),), "exactly one"),
    ((Resize(shorter=3, fit=(1, 1)),), "exactly one"),
    ((Normalise(), Pad()), "last step"),
    ((Normalise(std=(0.0,)),), "std of 0"),
    ((Pad(size=(2, 2)),), "cannot hold an image of 10x10"),
]


@pytest.mark.parametrize(("pipeline", "words"), BAD)
def test_steps_that_do_not_fit_are_refused(pipeline: Pipeline, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        apply(pipeline, noise(10, 10))


def test_an_aspect_ratio_cannot_be_a_bomb() -> None:
    with pytest.raises(ImageTooLarge, match=r"the image \(1x20000\) after resizing is 256x5120000"):
        apply(imagenet(), noise(1, 20000))


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2)])
def test_tiny_images_are_processed(size: tuple[int, int]) -> None:
    for pipeline in (imagenet(), zoom_crop_pad()):
        assert np.isfinite(apply(pipeline, noise(*size))).all()
