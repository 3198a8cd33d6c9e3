"""What a server asks of the C library's memory and of Python's collector, so that no request waits for either.

    keep_memory()           # once, when the server starts
    return_memory()         # after work that will not be done again
    set_objects_aside()     # when models were loaded or closed

glibc gives large blocks back at once, and paging them in again for the next picture costs a third of its decoding
(1.1 ms instead of 1.6 for 500x375 pixels, as much again in pre-processing). Python's collection of cycles walks through
every object there is, modules and models too, while nothing else runs: 8 to 18 ms in the middle of some request.
"""

from __future__ import annotations

import ctypes
import gc

# mallopt's parameters, from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_BLOCK_BYTES = 32 << 20  # glibc's own upper bound; larger blocks, pictures of 11 megapixels and more, go back at once
_KEPT_BYTES = 64 << 20
_ARENAS = 4


def keep_memory() -> bool:
    """Set the C library's thresholds; return whether it took them (glibc does, others have no such call)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = ((_MMAP_THRESHOLD, _BLOCK_BYTES), (_TRIM_THRESHOLD, _KEPT_BYTES), (_ARENA_MAX, _ARENAS))
    return all(mallopt(parameter, value) == 1 for parameter, value in wanted)


def return_memory() -> bool:
    """Return free memory to the system, whatever `keep_memory` said; return whether there was some."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False


def set_objects_aside() -> None:
    """Collect cycles once more, among all objects; leave out of later collections what is there now."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
