"""Any image a caller has, as RGB pixels, or a typed error; sizes are checked before anything is decoded.

    image = open_image("photo.jpg")               # a path, bytes, a PIL image or an array
    image.mode, image.size                        # "RGB", (width, height), turned as its EXIF says
    open_pixels(body, max_megapixels=25)          # the same pixels, decoded by the shortest way there is

Rules: EXIF orientation is applied; transparent pixels are laid over white; 16 bits a channel become 8 by
rounding value / 257; CMYK is converted as Pillow does; colour profiles are not applied, gamma neither; of an
animation the first frame is taken.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..arguments import real
from ..errors import ImageError, ImageNotFound, ImageTooLarge, ImageUnreadable, shown
from ..integrity.files import read_up_to
from ..limits import IMAGE_FORMATS, MAX_IMAGE_FILE_BYTES, MAX_IMAGE_MEGAPIXELS
from .gif import check_blocks, is_gif
from .jpeg import check_scans, decode_jpeg, is_jpeg, metadata_of, without_metadata
from .orientation import ORIENTATION_TAG, UPRIGHT, orientation_in, orientation_of, turn
from .pixels import Picture
from .png import check_chunks, is_png, is_wide, transparent_colour, wide_rgb
from .scratch import Scratch
from .transparency import flat_rgb, to_8_bits

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")


def open_image(source: Any, max_megapixels: float = MAX_IMAGE_MEGAPIXELS) -> Image:
    """Return `source` as a new RGB image of 8 bits a channel.

    `source` is a path, the bytes of a file, a PIL image, or an array: uint8 or uint16, [height, width] grey
    or [height, width, 1, 3 or 4], in RGB(A) order. Raises ImageNotFound, ImageTooLarge, ImageUnreadable, WrongOption.
    """
    from PIL.Image import Image as PilImage

    max_megapixels = _checked(max_megapixels)
    if isinstance(source, PilImage):
        return _from_pil(source, "the image", max_megapixels)
    file = _file_of(source)
    if file is not None:
        return _from_bytes(*file, max_megapixels)
    if hasattr(source, "__array__") or hasattr(source, "__array_interface__"):
        return _from_array(source, max_megapixels)
    raise ImageUnreadable(f"an image cannot be a {type(source).__name__}: give a path, bytes, a PIL image or an array")


def open_pixels(
    source: Any, max_megapixels: float = MAX_IMAGE_MEGAPIXELS, scratch: Scratch | None = None
) -> Image | Picture:
    """Return what `open_image` gives, or the same pixels as a Picture where a file can be decoded without Pillow.

    With `scratch` a Picture may lie there, until the next one does. Raises what `open_image` raises.
    """
    max_megapixels = _checked(max_megapixels)
    file = _file_of(source)
    if file is None:
        return open_image(source, max_megapixels)
    data, name = file
    if is_jpeg(data) and orientation_in(*metadata_of(data)) == UPRIGHT:
        picture = decode_jpeg(data, lambda width, height: check_pixels(width, height, name, max_megapixels), scratch)
        if picture is not None:
            return picture
    return _from_bytes(data, name, max_megapixels)


def _checked(max_megapixels: Any) -> float:
    return real("max_megapixels", max_megapixels, MAX_IMAGE_MEGAPIXELS * 20)


def _file_of(source: Any) -> tuple[bytes, str] | None:
    """Return a file's bytes, checked as far as they can be before decoding, and its name for messages; None where the
    source is no file.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data, name = bytes(source), "the image"
    elif isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        data, name = _read(path), one_name(path)
    else:
        return None
    _check_bytes(len(data), name)
    if is_jpeg(data):
        check_scans(data, name)
    elif is_png(data):
        check_chunks(data, name)
    elif is_gif(data):
        check_blocks(data, name)
    return data, name


def one_name(name: Any) -> str:
    """Return a path's last part, for messages."""
    return shown(Path(os.fsdecode(name)).name)


def _read(name: Any) -> bytes:
    """Read a plain file, its size checked first: no pipe, no /dev/zero."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageNotFound(f"{one_name(name)} cannot be read: {reason}") from None
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise ImageNotFound(f"{one_name(name)} is not a plain file")
    try:
        _check_bytes(state.st_size, one_name(name))
        data = read_up_to(descriptor, MAX_IMAGE_FILE_BYTES)
    except OSError as error:
        raise ImageNotFound(f"{one_name(name)} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    _check_bytes(len(data), one_name(name))  # it may have grown
    return data


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_IMAGE_FILE_BYTES:
        raise ImageTooLarge(f"{name} has {size / 1e6:.1f} MB, limit {MAX_IMAGE_FILE_BYTES / 1e6:.1f} MB")


def check_pixels(width: int, height: int, name: str, max_megapixels: float) -> None:
    """Refuse a size beyond the limit, or an empty one. Raises ImageTooLarge, ImageUnreadable."""
    if width < 1 or height < 1:
        raise ImageUnreadable(f"{name} is {width}x{height}: it has no pixels")
    if width * height > max_megapixels * 1e6:
        raise ImageTooLarge(
            f"{name} is {width}x{height}, {width * height / 1e6:.1f} MP, "
            f"limit {max_megapixels:.1f} MP (--max-megapixels)"
        )


def _guarded(work: Callable[[], T], name: str) -> T:
    """Run a step of Pillow's; whatever it raises on a damaged file becomes ImageUnreadable."""
    from PIL import Image

    try:
        return work()
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"{name} is too large: {error}") from None
    except Exception as error:  # noqa: BLE001 - decoders raise nearly anything on hostile bytes
        raise ImageUnreadable(f"{name} cannot be read as an image: {error or type(error).__name__}") from None


def _from_bytes(data: bytes, name: str, max_megapixels: float) -> Image:
    from PIL import Image, UnidentifiedImageError

    of_jpeg = metadata_of(data) if is_jpeg(data) else None
    plain = data if of_jpeg is None else without_metadata(data)

    def opened() -> Image.Image:
        try:
            return Image.open(io.BytesIO(plain), formats=IMAGE_FORMATS)
        except UnidentifiedImageError:
            kinds = ", ".join(IMAGE_FORMATS)
            raise ImageUnreadable(f"{name} is no image in a known format ({kinds})") from None

    def decode() -> Image.Image:
        with opened() as image:
            check_pixels(image.width, image.height, name, max_megapixels)
            if is_wide(image):
                with opened() as again:
                    flat = wide_rgb(image, again)
            else:
                flat = _flat(image, name, owned=True)
            return turn(flat, orientation_of(image.info) if of_jpeg is None else orientation_in(*of_jpeg))

    return _guarded(decode, name)


def _from_pil(image: Image, name: str, max_megapixels: float) -> Image:
    check_pixels(*image.size, name, max_megapixels)
    return _guarded(lambda: turn(_flat(image, name, owned=False), _noted_orientation(image)), name)


def _flat(image: Image, name: str, owned: bool) -> Image:
    """Load an image and return it as RGB."""
    nothing = transparent_colour(image)
    image.load()
    if nothing != image.info.get("transparency"):
        image, owned = image if owned else image.copy(), True
        image.info.pop("transparency")
        if nothing is not None:  # else the file names it behind the pixels, where it does not count
            image.info["transparency"] = nothing
    return flat_rgb(image, name, owned)


def _noted_orientation(image: Image) -> int:
    """Read the orientation of a caller's image, who may have changed it; a damaged EXIF block counts as none."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, UPRIGHT)
    except Exception:  # noqa: BLE001 - as in _guarded
        return UPRIGHT
    return value if isinstance(value, int) else UPRIGHT


def _from_array(source: Any, max_megapixels: float) -> Image:
    from PIL import Image

    name = "the array"
    array = _guarded(lambda: np.asarray(source), name)
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise ImageUnreadable(
            f"{name} is {array.dtype}: pixels are uint8 or uint16; give the network's own tensors to run()"
        )
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        raise ImageUnreadable(f"{name} has shape {array.shape}, expected (height, width) or (height, width, 1, 3 or 4)")
    check_pixels(array.shape[1], array.shape[0], name, max_megapixels)
    if array.dtype.itemsize == 2:
        array = to_8_bits(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return flat_rgb(Image.fromarray(np.ascontiguousarray(array)), name, owned=False)


def as_list(images: Any) -> list[Any]:
    """Return the sources in a list or tuple, or in an array of four dimensions; anything else is one source.

    Raises ImageUnreadable for none at all.
    """
    many = isinstance(images, Sequence) and not isinstance(images, (str, bytes, bytearray, memoryview))
    stacked = getattr(images, "ndim", None) == 4 and hasattr(images, "__array__")
    sources = list(images) if many or stacked else [images]
    if not sources:
        raise ImageUnreadable("no image was given: give at least one")
    return sources
