"""Load `model.so` from bytes that were checked: out of a sealed copy in memory, never by its name on the disk.

    module = load_library(ffi, artifact.seal("targets/host/model.so"))

So a file system that is mounted `noexec` is no hindrance either. Part of the engine.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ..errors import EngineLoadFailed, shown
from ..integrity.sealed import SealedFile

_lock = threading.Lock()
_loaded: dict[
    str, Any
] = {}  # sha256 -> module; the same bytes are loaded once and stay, as tensors' deleters need them
_names = 0


def load_library(ffi: Any, library: SealedFile) -> Any:
    """Return the module of a library; the same one for the same bytes. Raises EngineLoadFailed."""
    global _names
    with _lock:
        if library.sha256 not in _loaded:
            _names += 1
            path = _path_of(library.descriptor, _names)
            try:
                module = ffi.get_global_func("ffi.Module.load_from_file.so")(path, "so")
            except Exception as error:  # noqa: BLE001 - tvm_ffi raises whatever the C++ side names
                # dlopen(3)'s own words follow the path
                reason = str(error).rpartition(f"{path}: ")[2].strip().partition("\n")[0]
                hint = "" if Path("/proc/self/fd").exists() else "; it is loaded through /proc, which is not mounted"
                raise EngineLoadFailed(f"{library.name} cannot be loaded: {shown(reason)}{hint}") from None
            ffi.get_global_func("ffi.ModuleGlobalsAdd")(module)
            _loaded[library.sha256] = module
        return _loaded[library.sha256]


def _path_of(descriptor: int, serial: int) -> str:
    """Return a path to an open file that no other has had: dlopen(3) takes a path it knows for the library it knows,
    and a descriptor's number comes back once it is closed.
    """
    spelling = format(serial, "b").replace("0", "/").replace("1", "./")
    return f"/proc/self/fd/{spelling}{descriptor}"
