"""Files that may be mapped for as long as nobody wants to change them: read leases (fcntl(2), F_SETLEASE).

    pages = LeasedPages.of(descriptor)           # None where there can be no lease
    pages.map                                    # the file's own pages, shared with every process that maps it

A mapped file that is truncated is a SIGBUS for who reads on, and one that is overwritten is another network. Under a
lease the kernel holds whoever opens the file for writing, or truncates it; signals us; and goes on when we give the
lease up. By then the pages have been replaced, at the same addresses and with the same bytes, by a copy of our own: who
computes with them notices nothing. A process that is stopped cannot give way: the kernel lets the writer wait for it
for /proc/sys/fs/lease-break-time seconds (45) and no longer.

Not everywhere: the file must be ours (or we root), open for writing nowhere, and on a file system whose writers all go
through this kernel. Elsewhere the caller copies at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import signal
import struct
import threading
import weakref
from pathlib import Path

from ..errors import FileMissing
from .sealed import SealedFile

# statfs(2), f_type. Not among them: network file systems, FUSE, virtiofs, whose files others change unseen.
_EXT4, _XFS, _BTRFS, _F2FS, _TMPFS, _OVERLAY = 0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994, 0x794C7630
_LOCAL = (_EXT4, _XFS, _BTRFS, _F2FS, _TMPFS, _OVERLAY)
_F_SETSIG, _F_SETOWN_EX, _F_OWNER_TID = 10, 15, 0
# Its default is to be ignored, unlike SIGIO's. It goes to the watcher alone, which waits for it: no handler runs.
_SIGNAL = signal.SIGURG
_MAP_FIXED = 0x10
_POPULATE = int(getattr(mmap, "MAP_POPULATE", 0))

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]


class LeasedPages:
    """A whole file under a read lease, mapped read-only and shared; the lease ends with the object."""

    @classmethod
    def of(cls, descriptor: int) -> LeasedPages | None:
        """Take a lease on an open file and map it; None where it cannot be had. Takes no ownership of `descriptor`."""
        if _file_system(descriptor) not in _LOCAL:
            return None
        try:
            # A mapping keeps its open file, and a forked child the mapping: the lease is to be on another one.
            lease = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
            return _watcher.add(descriptor, lease)
        except (OSError, ValueError, RuntimeError):  # no right to a lease, an empty file, no thread left
            return None

    def __init__(self, descriptor: int, lease: int) -> None:
        """Map the file, which is under a lease by another descriptor; see `of`. Raises OSError, ValueError."""
        self.lease, self.size = lease, os.fstat(descriptor).st_size
        self.map = mmap.mmap(descriptor, self.size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        self.release = weakref.finalize(self, _release, lease)
        self.release.atexit = False  # workers may still compute with the pages; the process's end is the lease's

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the lease."""
        return fcntl.fcntl(self.lease, fcntl.F_GETLEASE) != fcntl.F_RDLCK

    def give_way(self) -> None:
        """Put a copy in the place of the file's pages, then give the lease up. Raises OSError, FileMissing."""
        import numpy as np

        address = int(np.frombuffer(self.map, np.uint8).ctypes.data)
        copy = SealedFile(self.lease, "a file that is being changed")
        flags = mmap.MAP_SHARED | _MAP_FIXED | _POPULATE
        # One step for whoever reads meanwhile: the old pages or the new ones.
        if _libc.mmap(address, self.size, mmap.PROT_READ, flags, copy.descriptor, 0) != address:
            raise OSError(ctypes.get_errno(), "the copy cannot be mapped")
        self.release()


class _Watcher:
    """One thread for each process, which sleeps until the kernel signals a lease that somebody waits for."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._watched: weakref.WeakSet[LeasedPages] = weakref.WeakSet()

    def add(self, descriptor: int, lease: int) -> LeasedPages:
        """Take a lease, map the file and watch over it; close the lease's descriptor where that fails.

        Raises OSError, ValueError, RuntimeError.
        """
        with self._lock:  # the thread, signalled of a writer at once, waits here until it knows the pages
            try:
                owner = struct.pack("ii", _F_OWNER_TID, self._thread_id())
                fcntl.fcntl(lease, _F_SETSIG, _SIGNAL)
                fcntl.fcntl(lease, _F_SETOWN_EX, owner)
                fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                pages = LeasedPages(descriptor, lease)
            except BaseException:
                os.close(lease)
                raise
            self._watched.add(pages)
            return pages

    def leave(self) -> None:
        """In a forked child: close the descriptors, so that no lease outlives the parent, who alone can give way."""
        for pages in list(self._watched):
            pages.release.detach()
            os.close(pages.lease)
        self._begin()

    def _thread_id(self) -> int:
        if self._thread is None:
            listening = threading.Event()
            thread = threading.Thread(target=self._run, args=(listening,), name="ovenbird-leases", daemon=True)
            thread.start()
            listening.wait()
            self._thread = thread
        return self._thread.native_id or 0

    def _run(self, listening: threading.Event) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {_SIGNAL})
        listening.set()
        while True:
            signal.sigwait({_SIGNAL})
            self._give_way()

    def _give_way(self) -> None:
        with self._lock:
            wanted = [pages for pages in self._watched if pages.wanted]
            for pages in wanted:
                # No memory for a copy: keep the lease. The writer waits until the kernel's patience ends.
                with contextlib.suppress(OSError, FileMissing, MemoryError):
                    pages.give_way()
                    self._watched.discard(pages)


def _release(lease: int) -> None:
    """Return up a lease, also where a forked child still holds the descriptor."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    os.close(lease)


def lies_in_image(descriptor: int) -> bool:
    """Return whether a file is part of the image of the container that we run in, whose root is mounted read-only.

    Nothing changes such a file in place: whoever writes there by another mount gets a copy of his own (overlayfs), and
    layers of images are not written to. A volume that is mounted read-only here may be written to elsewhere; it has
    another device than the root.
    """
    try:
        folder = Path(f"/proc/self/fd/{descriptor}").readlink().parent
        same = folder.stat().st_dev == Path("/").stat().st_dev
        return same and _file_system(descriptor) == _OVERLAY and bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _file_system(descriptor: int) -> int:
    """Return the type of the file system that an open file is on; 0 where it is not known."""
    buffer = (ctypes.c_long * 64)()  # struct statfs, which begins with it
    return buffer[0] if _libc.fstatfs(descriptor, buffer) == 0 else 0


_watcher = _Watcher()
os.register_at_fork(after_in_child=_watcher.leave)
