"""Import TVM without torch, for processes that only build and time kernels.

    import_tvm_alone()
    import tvm                           # is there already; torch is not

TVM's foreign function interface imports torch wherever it is installed: on Zen 3, 4.5 of the 6.9 s of processor time
that `import tvm` takes.
"""

from __future__ import annotations

import importlib
import sys


def import_tvm_alone() -> None:
    """Import TVM, and refuse it torch meanwhile; what asks for torch afterwards gets it."""
    if "tvm_ffi" in sys.modules or "torch" in sys.modules:
        importlib.import_module("tvm")
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # an import of it raises ModuleNotFoundError
    try:
        importlib.import_module("tvm")
    finally:
        del sys.modules["torch"]
