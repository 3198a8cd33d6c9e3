"""2,000 mutated images of every allowed format: pixels or a typed error, nothing else, and no large memory."""

from __future__ import annotations

import io
import random
import resource
import warnings
from collections import Counter
from typing import Any

import numpy as np
from PIL import Image

from ovenbird_runtime.errors import ImageError
from ovenbird_runtime.manifest.steps import imagenet
from ovenbird_runtime.preprocess.images import open_image
from ovenbird_runtime.preprocess.interpreted import apply

MUTANTS = 2_000
MAX_GROWTH_MB = 900.0


def seeds() -> list[bytes]:
    """Return one small file of each kind that there is a decoder for."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colour, "JPEG", {"exif": exif}),
        (colour, "JPEG", {"progressive": True, "icc_profile": bytes(300)}),
        (colour.convert("CMYK"), "JPEG", {}),
        (colour.convert("L"), "JPEG", {}),
        (colour, "PNG", {"exif": exif}),
        (colour.quantize(16), "PNG", {"transparency": 3}),
        (colour.convert("RGBA"), "PNG", {}),
        (colour.convert("1"), "PNG", {}),
        (Image.fromarray(rng.integers(0, 65536, (9, 9), np.uint16)), "PNG", {}),
        (colour, "WEBP", {"exif": exif}),
        (colour.convert("RGBA"), "WEBP", {"lossless": True}),
        (colour, "GIF", {"save_all": True, "append_images": [colour.rotate(90)]}),
        (colour, "BMP", {}),
        (colour.quantize(16), "BMP", {}),
    ]
    files = []
    for image, kind, options in kinds:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        files.append(buffer.getvalue())
    return files


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Spoil headers more often than pixels: that is where the decoders' decisions are."""
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if not spoilt:
            break
        place = rng.randrange(min(len(spoilt), rng.choice([40, 400, 10**6])))
        action = rng.randrange(7)
        if action <= 1:
            spoilt[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif action == 2:
            spoilt[place : place + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\xff\xff"])
        elif action == 3:
            del spoilt[place : place + rng.randint(1, 60)]
        elif action == 4:
            spoilt[place:place] = spoilt[place : place + rng.randint(1, 200)] * rng.choice([1, 50])
        elif action == 5:
            other = rng.choice(others)
            cut = rng.randrange(len(other))
            spoilt[place : place + 50] = other[cut : cut + 50]
        elif rng.random() < 0.3:
            del spoilt[place:]
    return bytes(spoilt)


def test_mutated_images_are_read_or_refused() -> None:
    rng, files, outcomes = random.Random(2026), seeds(), Counter[str]()
    pipeline = imagenet(32, 40)
    for data in files:
        assert apply(pipeline, open_image(data)).shape == (3, 32, 32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow remarks on damaged metadata
        for _ in range(MUTANTS):
            mutant = mutate(rng.choice(files), files, rng)
            try:
                image = open_image(mutant)
                assert image.mode == "RGB"
                apply(pipeline, image)
                outcomes["opened"] += 1
            except ImageError as error:
                outcomes[type(error).__name__] += 1
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    assert growth < MAX_GROWTH_MB, f"decoding took {growth:.0f} MB, limit {MAX_GROWTH_MB:.0f} MB"
    assert outcomes["ImageUnreadable"] > MUTANTS // 5
    assert outcomes["opened"] > MUTANTS // 20
