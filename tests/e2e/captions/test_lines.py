"""PP-OCRv4's recogniser, real weights: lines of text, drawn and as if photographed, are read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import ovenbird_runtime

LINES = (
    "STOP",
    "Ovenbird 2026",
    "No smoking in this room",
    "3.14159 + 2.71828",
    "invoice No. 48213",
    "The quick brown fox jumps over the lazy dog",
)


@pytest.fixture(scope="module")
def recogniser(compiled: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recogniser for lines of two widths, with the characters that its file brings."""
    package = find_spec("rapidocr_onnxruntime")
    if package is None or not package.submodule_search_locations:
        pytest.skip("PP-OCRv4 is not installed: pip install --no-deps rapidocr-onnxruntime")
    model = Path(package.submodule_search_locations[0]) / "models" / "ch_PP-OCRv4_rec_infer.onnx"
    copied = shutil.copy(model, tmp_path_factory.mktemp("ocr") / "recogniser.onnx")
    return compiled(copied, "--answer", "text", "--image-sizes", "48x320,48x640", "--batch-sizes", "1")


def drawn(text: str) -> Image.Image:
    """Draw a line, dark on light."""
    font = ImageFont.load_default(32)
    _, _, right, bottom = font.getbbox(text)
    picture = Image.new("RGB", (int(right) + 16, int(bottom) + 12), (245, 240, 230))
    ImageDraw.Draw(picture).text((8, 4), text, fill=(20, 20, 30), font=font)
    return picture


def photographed(picture: Image.Image) -> Image.Image:
    """Tilt, blur, shade and add noise."""
    width, height = picture.size[0] * 2, picture.size[1] * 2
    tilt = (1.02, 0.03, -4.0, 0.005, 1.03, -2.0, 0.00003, 0.0002)
    large = picture.resize((width, height)).transform(
        (width, height), Image.Transform.PERSPECTIVE, tilt, Image.Resampling.BICUBIC, fillcolor=(200, 195, 190)
    )
    pixels = np.asarray(large.filter(ImageFilter.GaussianBlur(1.2))).astype(float)
    shaded = pixels * np.linspace(0.6, 1.05, width)[None, :, None]
    noisy = shaded + np.random.default_rng(1).normal(0.0, 6.0, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.slow
def test_lines_are_read(recogniser: Path) -> None:
    with ovenbird_runtime.load(recogniser, threads=2) as model:
        for make in (drawn, lambda text: photographed(drawn(text))):
            pictures: list[Any] = [make(text) for text in LINES]
            found = model.predict(pictures)
            assert [(one.text or "").strip() for one in found] == list(LINES)
            assert {one.preprocess for one in found} == {"line", "line-48x640"}
            narrow = model.predict(pictures[0], image_size="48x320")[0]
            assert narrow.preprocess == "line"
