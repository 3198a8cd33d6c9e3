"""Ovenbird runtime: runs compiled artifacts with neither torch nor a compiler.

    import ovenbird_runtime

    model = ovenbird_runtime.load("artifacts/resnet50")
    model.run({"image": batch})["logits"]

Names are imported on first use, so that `import ovenbird_runtime` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .machine.versions import __version__ as __version__

if TYPE_CHECKING:
    from .errors import ArtifactError, EngineError, ImageError, InputError, MachineError, OvenbirdError
    from .model import Model, load

_HOME = {
    "load": "model",
    "Model": "model",
    "OvenbirdError": "errors",
    "ArtifactError": "errors",
    "EngineError": "errors",
    "ImageError": "errors",
    "InputError": "errors",
    "MachineError": "errors",
}

__all__ = [
    "ArtifactError",
    "EngineError",
    "ImageError",
    "InputError",
    "MachineError",
    "Model",
    "OvenbirdError",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
