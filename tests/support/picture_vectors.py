"""Writes the vectors of images and pipelines that every runtime must agree on (`conformance/README.md`).

PYTHONPATH=tests python tests/support/picture_vectors.py conformance

What is expected is what the Python runtime says, whose own tests hold it to specifications and to Pillow.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.manifest.schema import decode
from ovenbird_runtime.manifest.steps import Pipeline
from ovenbird_runtime.preprocess.images import open_image
from ovenbird_runtime.preprocess.interpreted import prepare
from support.png_files import COLOUR, COLOUR_ALPHA, GREY, GREY_ALPHA, PALETTE, chunk, png_file

Case = dict[str, Any]
EXIF_HEAD = b"Exif\0\0"
DEPTHS = {GREY: (1, 2, 4, 8, 16), COLOUR: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), COLOUR_ALPHA: (8, 16)}
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
NAMES = {GREY: "grey", COLOUR: "colour", PALETTE: "palette", GREY_ALPHA: "grey-alpha", COLOUR_ALPHA: "colour-alpha"}


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Return smooth colours with an edge and some noise: what photographs are made of."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    planes = [128 + 100 * np.sin(x / (7 + c) + y / (11 - c) + c) + 40 * (x > y) for c in range(3)]
    noise = np.random.default_rng(width * 1000 + height).normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(planes, 2) + noise, 0, 255).astype(np.uint8)).convert(mode)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def with_segment(data: bytes, code: int, body: bytes) -> bytes:
    return data[:2] + bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body + data[2:]


def exif(orientation: int, order: str = "<") -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def xmp(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def jpeg_files() -> Iterator[tuple[str, bytes]]:
    for name, sampling in {"444": 0, "422": 1, "420": 2}.items():
        yield f"{name}.jpg", jpeg(picture(45, 37), subsampling=sampling, quality=85)
    yield "progressive.jpg", jpeg(picture(67, 51), progressive=True, quality=80)
    yield "restarts.jpg", jpeg(picture(67, 51), restart_marker_blocks=3, optimize=True)
    yield "grey.jpg", jpeg(picture(33, 31, "L"))
    yield "cmyk.jpg", jpeg(picture(33, 31, "CMYK"))
    yield "one-pixel.jpg", jpeg(picture(1, 1))
    yield "rgb.jpg", jpeg(picture(33, 31), keep_rgb=True)
    for value in range(9):
        order = "<" if value % 2 else ">"
        yield f"exif-{value}.jpg", with_segment(jpeg(picture(20, 12)), 0xE1, EXIF_HEAD + exif(value, order))
    yield "xmp-6.jpg", with_segment(jpeg(picture(20, 12)), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(6))
    damaged = EXIF_HEAD + exif(6)[:-9]
    yield "exif-damaged.jpg", with_segment(jpeg(picture(20, 12)), 0xE1, damaged)
    whole = jpeg(picture(45, 37))
    yield "truncated.jpg", whole[: len(whole) // 2]
    yield "no-end.jpg", whole[:-2]
    yield "more-behind.jpg", whole + b"more"
    yield "only-a-start.jpg", whole[:3]
    yield "segments.jpg", whole[:2] + b"\xff\xfe\0\2" * 1025 + whole[2:]
    scan = bytes.fromhex("ffda0008010100003f00") + b"\0"
    yield "scans.jpg", whole[:-2] + scan * 101 + whole[-2:]
    place = whole.index(b"\xff\xc0")
    yield "no-pixels.jpg", whole[: place + 5] + b"\0\0" + whole[place + 7 :]
    yield "huge.jpg", whole[: place + 5] + b"\xff\xff\xff\xff" + whole[place + 9 :]
    yield "12-bits.jpg", whole[: place + 4] + b"\x0c" + whole[place + 5 :]


def png_files() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    for kind, depths in DEPTHS.items():
        for depth in depths:
            samples = rng.integers(0, 1 << depth, (19, 13, CHANNELS[kind]))
            colours = rng.integers(0, 256, (1 << depth) * 3, np.uint8).tobytes() if kind == PALETTE else b""
            for interlaced in (False, True):
                name = f"{NAMES[kind]}-{depth}{'-interlaced' if interlaced else ''}.png"
                yield name, png_file(samples, depth, kind, interlaced, colours)
            key = {
                GREY: struct.pack(">H", int(samples[5, 5, 0])),
                COLOUR: struct.pack(">HHH", *map(int, samples[5, 5, :3])) if kind == COLOUR else b"",
                PALETTE: bytes((0, 77, 255, 1)[: 1 << depth]),
            }.get(kind)
            if key:
                yield f"{NAMES[kind]}-{depth}-transparent.png", png_file(samples, depth, kind, False, colours, key)
    image = io.BytesIO()
    picture(61, 47).save(image, "PNG")  # with every filter
    yield "filters.png", image.getvalue()
    samples = rng.integers(0, 256, (12, 20, 3))
    raw = exif(6).hex()
    notes = {
        "exif": chunk(b"eXIf", exif(8)),
        "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3)),
        "raw-exif": chunk(
            b"tEXt", b"Raw profile type exif\0" + f"\nexif\n{len(raw) // 2}\n{raw[:40]}\n{raw[40:]}\n".encode()
        ),
    }
    for name, note in notes.items():
        yield f"{name}.png", png_file(samples, 8, COLOUR, before=note)
        yield f"{name}-behind.png", png_file(samples, 8, COLOUR, behind=note)
    late = chunk(b"tRNS", struct.pack(">HHH", *map(int, samples[5, 5])))
    yield "transparent-behind.png", png_file(samples, 8, COLOUR, behind=late)
    small = rng.integers(0, 16, (9, 7, 1))
    yield "beyond-the-palette.png", png_file(small, 4, PALETTE, False, bytes(range(9)))
    yield "no-palette.png", png_file(small, 4, PALETTE)
    whole = png_file(samples, 8, COLOUR)
    yield "truncated.png", whole[: len(whole) // 2]
    yield "no-end.png", whole[:-12]
    yield "bad-checksum.png", whole[:29] + bytes((whole[29] ^ 1,)) + whole[30:]
    yield "chunks.png", png_file(samples, 8, COLOUR, before=chunk(b"teXt", b"") * 1025)
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    yield "huge.png", whole[:8] + chunk(b"IHDR", head) + whole[33:]
    yield "no-pixels.png", whole[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)) + whole[33:]


def other_files() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "text.jpg", b"no image at all"


def picture_case(folder: Path, file: str) -> Case:
    try:
        image = open_image(folder / file)
    except OvenbirdError as error:
        return {"file": file, "error": type(error).__name__}
    return {"file": file, "pixels": f"{image.width}x{image.height} {hashlib.sha256(image.tobytes()).hexdigest()}"}


SIZES = {"wide": (91, 40), "tall": (31, 150), "small": (9, 14), "square": (64, 64), "column": (2, 230)}
IMAGENET = [{"step": "resize", "shorter": 40}, {"step": "centre-crop", "size": [32, 32]},
            {"step": "normalise", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}]  # fmt: skip
LETTERBOX = [{"step": "resize", "fit": [48, 48], "interpolation": "opencv-linear"},
             {"step": "pad", "size": [48, 48], "value": 114}, {"step": "normalise"}]  # fmt: skip
FILTERS = ("nearest", "bilinear", "bicubic", "lanczos", "opencv-linear")
PIPELINES: list[list[Case]] = [
    IMAGENET,
    [{**IMAGENET[0], "interpolation": "bicubic"}, *IMAGENET[1:]],
    LETTERBOX,
    *([{"step": "resize", "exact": size, "interpolation": name}] for name in FILTERS for size in ([24, 20], [70, 110])),
    *([{"step": "resize", "exact": [20, 24], "interpolation": name}, {"step": "normalise", "order": "grey"}]
      for name in ("bilinear", "opencv-linear")),
    [{"step": "zoom"}, {"step": "random-crop", "size": [12, 10]}, {"step": "pad", "size": [32, 32]},
     {"step": "normalise", "mean": [0.5], "std": [0.25]}],
    [{"step": "random-crop", "size": [50, 50]}],
    [{"step": "centre-crop", "size": [33, 47]}, {"step": "normalise", "order": "bgr", "scale": 1.0,
                                                 "mean": [103.94, 116.78, 123.68]}],
    [{"step": "resize", "fit": [30, 33], "enlarge": False, "rounding": "down"},
     {"step": "pad", "size": [30, 33], "value": [1, 2, 3], "place": "top-left"},
     {"step": "normalise", "layout": "HWC"}],
    [{"step": "resize", "fit": [30, 33]}, {"step": "pad", "size": [32, 34], "value": None},
     {"step": "normalise", "mean": [0.485, 0.456, 0.406], "order": "bgr"}],
    [{"step": "resize", "shorter": 50}, {"step": "centre-crop", "size": [20, 30]},
     {"step": "resize", "exact": [31, 32]}, {"step": "centre-crop", "size": [40, 40]}],
    [{"step": "pad", "size": [64, 64]}],
]  # fmt: skip


def pipeline_case(folder: Path, file: str, steps: list[Case], seed: int) -> Case:
    given: Case = {"file": file, "steps": steps, "seed": seed, "index": seed % 3}
    pipeline = decode(Pipeline, steps, "steps")
    try:
        tensor, frame = prepare(pipeline, open_image(folder / file), seed, seed % 3)
    except OvenbirdError as error:
        return given | {"error": type(error).__name__}
    digest = hashlib.sha256(np.ascontiguousarray(tensor).tobytes()).hexdigest()
    return given | {"input": f"{tensor.shape} {digest} {' '.join(map(repr, (*frame.scale, *frame.offset)))}"}


def write(folder: Path) -> None:
    pictures, pipelines = folder / "pictures", folder / "pipelines"
    for place in (pictures, pipelines):
        place.mkdir(parents=True, exist_ok=True)
    files = dict([*jpeg_files(), *png_files(), *other_files()])
    for name, data in files.items():
        (pictures / name).write_bytes(data)
    cases = [picture_case(pictures, name) for name in files]
    (pictures / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
    for name, size in SIZES.items():
        picture(*size).save(pipelines / f"{name}.png", optimize=True)
    cases = [
        pipeline_case(pipelines, f"{name}.png", steps, seed)
        for seed, steps in enumerate(PIPELINES)
        for name in SIZES
    ]  # fmt: skip
    (pipelines / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
