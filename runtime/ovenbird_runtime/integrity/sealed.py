"""Copies of files that nobody can change: anonymous memory (memfd_create(2)), sealed once it is written.

    copy = SealedFile(descriptor, "targets/host/model.so")      # another descriptor, other pages
    copy.sha256                                                 # of the very bytes that will be used
    copy.descriptor                                             # open as long as the object lives

What is checked by its name can be another file by the time that the name is opened again; what is checked in a sealed
copy cannot.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import hashlib
import os
import weakref

from ..errors import FileMissing

# linux/memfd.h and linux/fcntl.h; not every build of Python has them in `os` and `fcntl`.
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 1, 2
_F_ADD_SEALS = 1033
_SEAL_EVERYTHING = 0x1 | 0x2 | 0x4 | 0x8  # further seals, shrinking, growing, writing
_CHUNK_BYTES = 1 << 20


class SealedFile:
    """A private copy of an open file, from its beginning to its end."""

    def __init__(self, descriptor: int, name: str) -> None:
        """Copy the file; take no ownership of `descriptor`. Raises FileMissing where there is no memory for it."""
        self.name = name
        try:
            self.descriptor = _anonymous_file()
            weakref.finalize(self, os.close, self.descriptor).atexit = False
            _copy(descriptor, self.descriptor)
            _seal(self.descriptor)
            self.size = os.fstat(self.descriptor).st_size
        except OSError as error:
            raise FileMissing(f"{name} cannot be copied into memory: {error.strerror}") from None

    @functools.cached_property
    def sha256(self) -> str:
        """The sha256 of its bytes, as 64 hexadecimal characters."""
        return sha256_of(self.descriptor)


def sha256_of(descriptor: int) -> str:
    """Return the sha256 of an open file, from its beginning, as 64 hexadecimal characters."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    offset = 0
    while count := os.preadv(descriptor, [buffer], offset):
        digest.update(view[:count])
        offset += count
    return digest.hexdigest()


def _anonymous_file() -> int:
    """Open an anonymous file in memory; where a sandbox refuses those, one without a name on the disk."""
    create = getattr(ctypes.CDLL(None, use_errno=True), "memfd_create", None)
    descriptor = -1 if create is None else int(create(b"ovenbird", _MFD_CLOEXEC | _MFD_ALLOW_SEALING))
    if descriptor >= 0:
        return descriptor
    import tempfile

    with tempfile.TemporaryFile(prefix="ovenbird-") as file:
        return os.dup(file.fileno())


def _seal(descriptor: int) -> None:
    try:
        fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEAL_EVERYTHING)
    except OSError as error:
        if error.errno != errno.EINVAL:  # no seals on a disk; such a file has no name that anybody could open
            raise


def _copy(source: int, output: int) -> None:
    offset = 0
    while data := os.pread(source, _CHUNK_BYTES, offset):
        offset += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(output, rest) :]
