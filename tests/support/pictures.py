"""Pictures of noise, as files and as images.

encoded("PNG", seed=3, size=(60, 48), mode="L")        # bytes
noise(500, 375)                                        # the same image for the same size
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def encoded(kind: str = "JPEG", seed: int = 0, size: tuple[int, int] = (60, 48), mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
