"""Where a prediction's photograph is found again, so that a notebook can show it.

    source = PhotographSource("photo.jpg")
    source.image()                          # opened anew; None where it is gone

A path is kept; an image of the caller's own only as long as the caller keeps it: predictions hold no pixels.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from ..errors import ImageError
from .images import open_image

if TYPE_CHECKING:
    from PIL.Image import Image


class PhotographSource:
    """A path, or a weak reference to what was given."""

    def __init__(self, given: Any) -> None:
        """Remember `given`; bytes, which cannot be referred to weakly, are forgotten."""
        self.path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
        self._own: Any = None
        if self.path is None:
            try:
                self._own = weakref.ref(given)
            except TypeError:
                self._own = None

    def image(self) -> Image | None:
        """Return the photograph, RGB and upright; None where it is gone, or is none any more."""
        given = self.path if self.path is not None else self._own() if self._own is not None else None
        if given is None:
            return None
        try:
            return open_image(given)
        except ImageError:
            return None

    def __reduce__(self) -> tuple[type[PhotographSource], tuple[Any]]:
        """Take the path along into another process, and nothing else."""
        return PhotographSource, (self.path,)

    def __repr__(self) -> str:
        """Name the path."""
        return f"PhotographSource({self.path!r})"
