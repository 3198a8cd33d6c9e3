"""Reads the fat binaries in a file: which machine code and which PTX are there, for which chips.

fatbins(Path("model.so").read_bytes())      # [[Image("sass", 90), Image("ptx", 90)]]

The layout is that of `fatbinary.h` in the CUDA toolkit, with the entries' headers as cuobjdump reads them.
"""

import struct
from dataclasses import dataclass

MAGIC = 0xBA55ED50
KINDS = {1: "ptx", 2: "sass"}


@dataclass(frozen=True)
class Image:
    """One entry: "sass" or "ptx", and the chip's number (90 for sm_90)."""

    kind: str
    arch: int


def fatbins(data: bytes) -> list[list[Image]]:
    """The entries of every fat binary in `data`."""
    found, start = [], 0
    mark = struct.pack("<I", MAGIC)
    while (start := data.find(mark, start)) >= 0:
        _, _, header, size = struct.unpack_from("<IHHQ", data, start)
        at, end, images = start + header, start + header + size, []
        while at < end:
            kind, _, entry_header, payload = struct.unpack_from("<HHIQ", data, at)
            (arch,) = struct.unpack_from("<I", data, at + 28)
            images.append(Image(KINDS[kind], arch))
            at += entry_header + payload
        found.append(images)
        start = end
    return found
