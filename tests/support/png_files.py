"""PNG files of every colour type, depth and interlacing, written from the specification alone (W3C, Portable Network
Graphics), and what a reader must make of them.

    data = png_file(samples, depth=16, colour_type=2, interlaced=True, transparent=b"...")
    expected = over_white(colours, alpha)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

Samples = np.ndarray[Any, Any]
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
# First row, first column, step of rows, step of columns of each of Adam7's passes
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _rows(samples: Samples, depth: int) -> Iterable[bytes]:
    """Yield each row of samples [H, W, C] as bytes, behind the number of the filter that does nothing."""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            yield b"\0" + row.astype(">u2").tobytes()
        else:
            bits = ((row[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
            yield b"\0" + np.packbits(bits.reshape(-1)).tobytes()


def png_file(
    samples: Samples,
    depth: int,
    colour_type: int,
    interlaced: bool = False,
    palette: bytes = b"",
    transparent: bytes | None = None,
    before: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """Return a file of the samples, an array [H, W, C]; chunks `before` and `behind` its pixels."""
    height, width, _ = samples.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
    pixels = b"".join(row for part in parts if part.size for row in _rows(part, depth))
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            chunk(b"PLTE", palette) if palette else b"",
            chunk(b"tRNS", transparent) if transparent is not None else b"",
            before,
            chunk(b"IDAT", zlib.compress(pixels)),
            behind,
            chunk(b"IEND", b""),
        )
    )


def over_white(colours: Samples, alpha: Samples) -> Samples:
    """Lay colours [H, W, 3] of 0 to 255 over white, exactly: to the nearest, halves up."""
    wide, share = colours.astype(np.int64), alpha.astype(np.int64)[:, :, None]
    return (2 * (wide * share + 255 * (255 - share)) + 255) // 510


def to_8_bits(samples: Samples, depth: int) -> Samples:
    """Scale samples of any depth to 0 to 255, to the nearest."""
    top = (1 << depth) - 1
    return (2 * samples.astype(np.int64) * 255 + top) // (2 * top)
