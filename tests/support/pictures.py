"""Pictures of noise, as files.

encoded("PNG", seed=3, size=(60, 48), mode="L")        # bytes
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
