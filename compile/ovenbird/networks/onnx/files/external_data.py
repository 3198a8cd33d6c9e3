"""Weights that an ONNX model keeps in files next to it ("external data"), read into the model.

    model = onnx.load("net.onnx", load_external_data=False)
    read_external_data(model, Path("models"))       # net.onnx.data, in that folder

The model names each file, so a model from a stranger could name any file of this machine: only plain files below the
model's own folder are read. https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ovenbird.errors import NetworkUnreadable, NetworkUnsafe


def read_external_data(model: Any, folder: Path) -> None:
    """Put external data into the model's tensors. Raises NetworkUnreadable, NetworkUnsafe."""
    from onnx import TensorProto

    for tensor in tensors_in(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        what = f"tensor {tensor.name[:60]!r}"
        offset, length = (_number(what, key, entries.get(key)) for key in ("offset", "length"))
        tensor.raw_data = _read(what, locate(what, folder, location), offset or 0, length)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def tensors_in(message: Any) -> Iterator[Any]:
    """Yield every tensor of a model: initializers, attributes, those of subgraphs, functions and sparse tensors."""
    from onnx import TensorProto

    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        for each in (value,) if hasattr(value, "ListFields") else value:
            if isinstance(each, TensorProto):
                yield each
            else:
                yield from tensors_in(each)


def locate(what: str, folder: Path, location: str) -> Path:
    """Return the file that a tensor names. Raises NetworkUnsafe where it is not in the model's folder."""
    path = PurePosixPath(location)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in location or not location.isprintable():
        raise NetworkUnsafe(f"{what} is in {location[:80]!r}, which is no file below the model's folder")
    try:
        found = (folder / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise NetworkUnreadable(f"{what} is in {location[:80]!r}, and no such file is next to the model") from None
    if not found.is_relative_to(folder.resolve()):
        raise NetworkUnsafe(
            f"{what} is in {location[:80]!r}, a link that leads out of the model's folder; copy the file"
        )
    return found


def _number(what: str, key: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise NetworkUnreadable(f"{what}: {key} {text[:20]!r} is no number of bytes")
    return int(text)


def _read(what: str, path: Path, offset: int, length: int | None) -> bytes:
    try:
        # without waiting: a pipe there would never answer
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NetworkUnsafe(f"{what} is in {path.name}, which is no plain file")
            wanted = status.st_size - offset if length is None else length
            if wanted < 0 or offset + wanted > status.st_size:
                raise NetworkUnreadable(
                    f"{what}: bytes {offset} to {offset + wanted}, {path.name} has {status.st_size}"
                )
            file.seek(offset)
            return file.read(wanted)
    except OSError as error:
        raise NetworkUnreadable(f"{what}: {path.name}: {error.strerror}") from None
