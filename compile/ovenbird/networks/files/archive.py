"""The members of a zip archive that torch wrote, taken out under limits.

    with Archive.open(Path("net.pt2"), "it") as archive:
        archive.names                         # ("models/model.json", "data/weights/weight_0", ...)
        archive.read("models/model.json", 64_000_000)

torch stores its members uncompressed, under one folder, each once. Whatever else a zip file can be (compressed to a
thousandth, overlapping, with two members of a name, of which two readers see different ones) is refused.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from types import TracebackType
from typing import IO

from ovenbird.errors import NetworkUnreadable, NetworkUnsafe
from ovenbird.limits import MAX_PROGRAM_MEMBERS

ENCRYPTED = 0x1


class Archive:
    """An open archive. `names` are without the folder that holds all of them."""

    def __init__(self, file: zipfile.ZipFile, size: int, what: str) -> None:
        self._file = file
        self._what = what
        self._members: dict[str, zipfile.ZipInfo] = {}
        infos = file.infolist()
        if not infos or len(infos) > MAX_PROGRAM_MEMBERS:
            raise NetworkUnreadable(f"{what}: {len(infos)} members, expected 1 to {MAX_PROGRAM_MEMBERS}")
        folder = infos[0].filename.partition("/")[0]
        for info in infos:
            self._add(info, folder)
        total = sum(info.file_size for info in infos)
        if total > size:
            raise NetworkUnsafe(f"{what}: its members have {total} bytes, the file {size}: they overlap")

    def _add(self, info: zipfile.ZipInfo, folder: str) -> None:
        name = info.filename
        first, _, inside = name.partition("/")
        if first != folder or not inside or ".." in name.split("/") or "\\" in name or not name.isprintable():
            raise NetworkUnreadable(
                f"{self._what}: no archive of torch's: member {name!r} is not in one folder {folder!r}"
            )
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED:
            raise NetworkUnsafe(
                f"{self._what}: member {name!r} is compressed or encrypted; torch stores them as they are"
            )
        if inside in self._members:
            raise NetworkUnsafe(f"{self._what}: two members are named {name!r}")
        self._members[inside] = info

    @staticmethod
    def open(source: Path | IO[bytes], what: str) -> Archive:
        """Open an archive and look at its table of contents. Raises NetworkUnreadable, NetworkUnsafe."""
        try:
            file = zipfile.ZipFile(source)
            opened = file.fp
            assert opened is not None
            size = opened.seek(0, 2)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise NetworkUnreadable(f"{what}: no archive of torch's: {error}") from None
        try:
            return Archive(file, size, what)
        except BaseException:
            file.close()
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, in the file's order."""
        return tuple(self._members)

    def size(self, name: str) -> int:
        """Return a member's size in bytes. Raises NetworkUnreadable where there is none of that name."""
        return self._info(name).file_size

    def read(self, name: str, most: int) -> bytes:
        """Return a member's bytes, `most` at most; its CRC is checked. Raises NetworkUnreadable."""
        info = self._info(name)
        if info.file_size > most:
            raise NetworkUnreadable(f"{self._what}: {name} has {info.file_size} bytes, limit {most}")
        try:
            return self._file.read(info)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
            raise NetworkUnreadable(f"{self._what}: {name}: {error}") from None

    def copy(self, name: str, to: zipfile.ZipFile, under: str) -> None:
        """Copy a member, in pieces, into another archive under that name. Raises NetworkUnreadable."""
        info = zipfile.ZipInfo(under)
        info.file_size = self.size(name)  # decides whether 64-bit sizes are needed
        try:
            with self._file.open(self._info(name)) as reading, to.open(info, "w") as writing:
                shutil.copyfileobj(reading, writing, 1 << 20)
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise NetworkUnreadable(f"{self._what}: {name}: {error}") from None

    def _info(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._members[name]
        except KeyError:
            raise NetworkUnreadable(f"{self._what}: holds no {name}; torch.export.save writes it") from None

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
