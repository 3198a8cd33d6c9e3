"""The names of functions in TVM's errors, read while they are few.

read_symbols_early()        # before torch and TVM are imported

TVM says for each of its errors in which functions it came up. For the first one of a process, it reads the symbols of
every library that is loaded by then, and while TVM is imported some errors come up that nobody sees: next to torch's
libraries that is 1.1 s of processor time of every compile on Zen 3, before them a third of it. Errors keep their file,
line and message, and Python's part of their trace.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

LIBRARY = "lib/libtvm_ffi.so"
"""Where TVM's foreign function interface is, within its package."""


def read_symbols_early() -> None:
    """Have TVM read the symbols of what is loaded now, once and for all; not where torch or TVM is there already."""
    if "torch" in sys.modules or "tvm_ffi" in sys.modules:
        return
    found = find_spec("tvm_ffi")
    library = Path(found.origin).parent / LIBRARY if found is not None and found.origin else None
    if library is not None and library.is_file():
        # The library that TVM loads later is this one: a file is loaded once.
        ctypes.CDLL(str(library)).TVMFFIBacktrace(None, 0, None, 0)
