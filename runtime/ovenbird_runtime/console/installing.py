"""How to install what is missing. No package index has Ovenbird: a hint names the clone, or a wheel's file.

install_hint("serve")      # pip install './runtime[serve]' in a clone of Ovenbird, or 'FILE.whl[serve]' with ...
"""

from __future__ import annotations

NATIVE = "./runtime/native"
"""The folder of the C++ runtime's wheel."""


def install_hint(extra: str = "", folder: str = "./runtime") -> str:
    """Return the command that installs an extra of a distribution: of the runtime, of the compiler (folder "."), or of
    the C++ runtime (folder `NATIVE`).
    """
    wanted = f"[{extra}]" if extra else ""
    whose = {".": "the compiler's", NATIVE: "ovenbird-native's"}.get(folder, "the runtime's")
    return f"pip install '{folder}{wanted}' in a clone of Ovenbird, or 'FILE.whl{wanted}' with {whose} wheel"
