"""Pixels as compiled code takes them: rows of red, green, blue and a byte of nothing; from Pillow without a copy.

    view = shared_pixels(image)           # uint8 [height, width * 4], or None
    picture = Picture(array)              # decoded without Pillow; picture.to_image() where Pillow is needed after all

Pillow (11.3 and later) hands its memory out through Arrow's C data interface
(https://arrow.apache.org/docs/format/CDataInterface.html): a struct in a capsule, which `ctypes` reads here. An image
that does not lie in one piece (beyond 16 MiB), or that another version describes in another way, gives None.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from ..dataclass import dataclass
from ..tensors.arrays import Array

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = 4  # a pixel takes as many bytes in Pillow's memory, whether three or four mean something


@dataclass(frozen=True)
class Picture:
    """An upright RGB image that was decoded without Pillow."""

    array: Array
    """uint8 [height, width, 4]; the fourth byte means nothing."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as Pillow gives them."""
        return self.array.shape[1], self.array.shape[0]

    @property
    def rows(self) -> Array:
        """The bytes by rows, uint8 [height, width * 4]."""
        return self.array.reshape(self.array.shape[0], -1)

    def to_image(self) -> Image:
        """Return the image as Pillow's; a copy."""
        from PIL import Image as pil

        return pil.fromarray(self.array[:, :, :3])


class _ArrowArray(ctypes.Structure):
    """`struct ArrowArray` of the interface."""


_ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
    ("dictionary", ctypes.POINTER(_ArrowArray)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


class _Memory:
    """Bytes at an address, as numpy wants them described; keeps their owner alive."""

    def __init__(self, owner: Image, address: int, shape: tuple[int, ...]) -> None:
        self._owner = owner
        self.__array_interface__ = {"data": (address, False), "shape": shape, "typestr": "|u1", "version": 3}


def shared_pixels(image: Image) -> Array | None:
    """Return an RGB image's bytes as an array [height, width * 4], to read from; it keeps the image.

    None where they cannot be had without a copy.
    """
    export = getattr(image, "__arrow_c_array__", None)
    if export is None or image.mode != "RGB":
        return None
    image.load()
    try:
        _, capsule = export()
    except (ValueError, MemoryError):  # not in one piece
        return None
    pixels = _ArrowArray.from_address(_pointer_of(capsule, b"arrow_array"))
    width, height = image.size
    if pixels.length != width * height or pixels.n_children != 1 or pixels.offset:
        return None
    values = pixels.children[0].contents
    if values.length != width * height * CHANNELS or values.n_buffers != 2 or values.offset:
        return None
    address = values.buffers[1]
    if not address or address % CHANNELS:
        return None
    return np.asarray(_Memory(image, address, (height, width * CHANNELS)))
