"""Which versions of ONNX are read: operator sets 7 to the newest that the onnx package knows; older ones are converted.

model = updated(model)
"""

from __future__ import annotations

from typing import Any

from ovenbird.errors import NetworkUnreadable

OLDEST_OPSET = 7
"""Before it, shapes were stretched by attributes."""


def updated(model: Any) -> Any:
    """Return the model in a version that is read. Raises NetworkUnreadable."""
    from onnx import defs, version_converter

    newest = defs.onnx_opset_version()
    for entry in model.opset_import:
        if entry.domain not in ("", "ai.onnx"):
            continue
        if entry.version > newest:
            raise NetworkUnreadable(
                f"its operators are of version {entry.version}, the onnx package here knows up to {newest}: "
                "pip install -U onnx"
            )
        if entry.version < OLDEST_OPSET:
            try:
                return version_converter.convert_version(model, OLDEST_OPSET)
            except Exception as error:  # noqa: BLE001 - the converter's own
                why = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise NetworkUnreadable(
                    f"its operators are of version {entry.version}, read are {OLDEST_OPSET} to {newest}; it cannot be "
                    f"converted ({why[:120]}), export it anew"
                ) from None
    return model
