"""Compiled pre-processing gives what Pillow and numpy give, bit for bit, or leaves the image to them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tvm.runtime import tensor  # noqa: F401 - loads the FFI that from_dlpack needs
from tvm_ffi import from_dlpack

from ovenbird.backends.codegen_pipeline import codegen_pipeline, for_host
from ovenbird.operators.resampling import LINEAR, RESAMPLE, linear_kernel, resampling_kernel
from ovenbird.targets import load_target
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
    letterbox,
    zoom_crop_pad,
)
from ovenbird_runtime.preprocess.interpreted import apply
from ovenbird_runtime.preprocess.pixels import Picture
from ovenbird_runtime.preprocess.preprocessor import Preprocessor
from support.pictures import noise


class Counted:
    """A kernel, and how often it was called."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function, self.calls = function, 0

    def __call__(self, *arguments: Any) -> None:
        self.calls += 1
        self._function(*[value if isinstance(value, int) else from_dlpack(value) for value in arguments])


class Kernels:
    """Both kernels, and how often they were called."""

    def __init__(self, resample: Counted, linear: Counted) -> None:
        self._both = resample, linear

    @property
    def calls(self) -> int:
        return sum(one.calls for one in self._both)

    def preprocessor(self) -> Preprocessor:
        return Preprocessor(*self._both)


def compiled(name: str) -> Kernels:
    target = load_target(name).tvm_target()
    kernels = {RESAMPLE: resampling_kernel(), LINEAR: linear_kernel()}
    if target.host is not None:
        kernels = {name: for_host(kernel, target) for name, kernel in kernels.items()}
    built = tvm.compile(tvm.IRModule(kernels), target=target, tir_pipeline=codegen_pipeline())
    return Kernels(Counted(built[RESAMPLE]), Counted(built[LINEAR]))


@pytest.fixture(scope="module")
def kernel() -> Kernels:
    return compiled("host")


def check(
    kernel: Kernels, pipeline: Pipeline, image: Image.Image, seed: int = 0, by_kernel: bool | None = True
) -> None:
    before = kernel.calls
    given = kernel.preprocessor().apply(pipeline, image, seed, index=3)
    assert by_kernel is None or kernel.calls - before == by_kernel
    expected = apply(pipeline, image, seed, index=3)
    assert given.dtype == expected.dtype
    np.testing.assert_array_equal(given, expected)


SIZES = [(500, 375), (375, 500), (1000, 301), (256, 256), (257, 255), (63, 100), (1500, 1100)]
ZOOMED_BGR = (Zoom(factor=2.5), Normalise(mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0), scale=1.0, order="bgr"))
LETTERBOX = (Resize(fit=(416, 320)), Pad(size=(416, 320), value=128), Normalise())
PIPELINES: dict[str, Pipeline] = {
    "imagenet": imagenet(),
    "bicubic": imagenet(299, 342, "bicubic"),
    "letterbox": LETTERBOX,
    "exact": (Resize(exact=(97, 33)),),
    "one axis": (Resize(exact=(375, 200)), Normalise(mean=(0.5,), std=(0.25,))),
    "bgr": ZOOMED_BGR,
    "nothing": (Normalise(),),
    "opencv": (
        Resize(exact=(97, 133), interpolation="opencv-linear"),
        CentreCrop(size=(90, 101)),
        Normalise(order="bgr"),
    ),
    "opencv letterbox": (*letterbox((416, 320), place="top-left"), Normalise()),
    "three values": (
        *letterbox((64, 96), value=(1, 2, 3), interpolation="bicubic"),
        Normalise(order="bgr", mean=(0.5,)),
    ),
    "zero around": (*letterbox(64, value=None), Normalise(mean=(0.1, 0.2, 0.3))),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PIPELINES)
def test_pixels_are_pillow_s(kernel: Kernels, name: str, size: tuple[int, int]) -> None:
    check(kernel, PIPELINES[name], noise(*size))


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "cuda-sm90"])
def test_narrow_vectors_give_the_same_pixels(target: str) -> None:
    """With a GPU's target the function runs on the processor; no nvcc is asked for that."""
    kernel = compiled(target)
    check(kernel, imagenet(299, 342, "bicubic"), noise(401, 307))
    check(kernel, PIPELINES["opencv letterbox"], noise(401, 307))


@pytest.mark.parametrize("seed", range(5))
def test_random_crops_are_drawn_alike(kernel: Kernels, seed: int) -> None:
    check(kernel, zoom_crop_pad(), noise(400, 300), seed)
    check(kernel, (Resize(shorter=64), RandomCrop(size=(60, 50)), CentreCrop(size=(31, 17))), noise(123, 77), seed)


SIDE = st.integers(1, 600)


@settings(max_examples=400, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE, st.sampled_from(["bilinear", "bicubic", "opencv-linear"]), st.data())
def test_any_size_is_resampled(
    kernel: Kernels, width: int, height: int, new_width: int, new_height: int, name: Any, data: Any
) -> None:
    crop = (data.draw(st.integers(1, new_height)), data.draw(st.integers(1, new_width)))
    pipeline = (Resize(exact=(new_height, new_width), interpolation=name), CentreCrop(size=crop))
    check(kernel, pipeline, noise(width, height), by_kernel=None)


def test_what_was_decoded_without_pillow(kernel: Kernels) -> None:
    """Such a picture lies in one piece, however large it is."""
    image = noise(2500, 2000)
    array = np.dstack([np.asarray(image), np.zeros((2000, 2500), np.uint8)])
    before = kernel.calls
    np.testing.assert_array_equal(kernel.preprocessor().apply(imagenet(), Picture(array)), apply(imagenet(), image))
    assert kernel.calls == before + 1
    steps = (Resize(shorter=64, interpolation="lanczos"), Normalise())
    np.testing.assert_array_equal(kernel.preprocessor().apply(steps, Picture(array)), apply(steps, image))
    np.testing.assert_array_equal(Preprocessor(None).apply(imagenet(), Picture(array)), apply(imagenet(), image))
    assert kernel.calls == before + 1


LEFT_TO_PILLOW: list[tuple[Pipeline, tuple[int, int]]] = [
    ((Resize(shorter=64, interpolation="nearest"),), (100, 80)),
    ((Resize(shorter=64, interpolation="lanczos"),), (100, 80)),
    ((Resize(shorter=64), Normalise(layout="HWC")), (100, 80)),
    ((CentreCrop(size=(50, 50)), Resize(shorter=20)), (100, 80)),
    ((CentreCrop(size=(50, 50)),), (40, 80)),
    ((Pad(size=(90, 120)), CentreCrop(size=(50, 50))), (100, 80)),
    (imagenet(), (300, 900)),  # along the columns first
    (imagenet(), (2, 500)),
    (imagenet(), (2500, 2000)),  # more than Pillow keeps in one piece
]


@pytest.mark.parametrize(("pipeline", "size"), LEFT_TO_PILLOW, ids=str)
def test_what_is_left_to_pillow(kernel: Kernels, pipeline: Pipeline, size: tuple[int, int]) -> None:
    check(kernel, pipeline, noise(*size), by_kernel=False)


def test_refusals_are_the_same(kernel: Kernels) -> None:
    preprocessor = kernel.preprocessor()
    with pytest.raises(PipelineError, match="cannot hold an image of 10x10"):
        preprocessor.apply((Pad(size=(2, 2)),), noise(10, 10))
    with pytest.raises(PipelineError, match="exactly one"):
        preprocessor.apply((Resize(),), noise(10, 10))
    with pytest.raises(ImageTooLarge, match="after resizing is 256x5120000"):
        preprocessor.apply(imagenet(), noise(1, 20000))


def test_threads_do_not_meet(kernel: Kernels) -> None:
    preprocessor, images = kernel.preprocessor(), [noise(300 + i, 200) for i in range(24)]
    expected = [apply(imagenet(), image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = pool.map(lambda image: preprocessor.apply(imagenet(), image), images)
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
