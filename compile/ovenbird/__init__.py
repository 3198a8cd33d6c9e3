"""Ovenbird compiler: takes a vision model from PyTorch to the machine where it must run.

    import ovenbird

    report = ovenbird.compile("resnet50", output="artifacts/resnet50")
    report.errors                       # {"logits": 1.5e-05, "embedding": 3.8e-06}

Names are imported on first use, so that `import ovenbird` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ovenbird.api.compiling import compile
    from ovenbird.artifact.report import CompileReport
    from ovenbird.dynamo.exporting import export
    from ovenbird.dynamo.reporting import EagerFallback
    from ovenbird.errors import CompilerError

__version__ = "0.1.0"

_HOME = {
    "compile": "api.compiling",
    "export": "dynamo.exporting",
    "CompileReport": "artifact.report",
    "EagerFallback": "dynamo.reporting",
    "CompilerError": "errors",
}

__all__ = ["CompileReport", "CompilerError", "EagerFallback", "compile", "export"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
