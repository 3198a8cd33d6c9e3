"""What this package raises.

try:
    model = ovenbird_native.load("artifacts/resnet50")
except ovenbird_native.NativeError as error:
    error.kind                # "FileChanged": the kinds are those of the runtime's errors
"""

from __future__ import annotations


class NativeError(Exception):
    """An artifact, a machine, an input or an image that cannot be used; `str(error)` is one printable line."""

    def __init__(self, kind: str, message: str) -> None:
        """Keep the kind of error by its name, as "FileChanged", and the message."""
        super().__init__(kind, message)
        self.kind, self.message = kind, message

    def __str__(self) -> str:
        """Return the message."""
        return self.message
