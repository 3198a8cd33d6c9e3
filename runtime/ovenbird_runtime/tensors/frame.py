"""Where a network's input lies in the photograph it was made from, so that places in answers find the way back.

    tensor, frame = preprocessor.prepare(pipeline, image)
    frame.to_original(112.0, 112.0)         # (250.0, 187.5): x and y in the photograph, as it is seen upright

Places are continuous: (0, 0) is the top left corner of the top left pixel, whose centre is (0.5, 0.5). A resized image
covers the same area, so what resizing does is a product; crops and canvases add to it.
"""

from __future__ import annotations

from dataclasses import replace

from ..dataclass import dataclass

ImageSize = tuple[int, int]
"""Width, then height, in pixels."""
Point = tuple[float, float]
"""Across, then down, in pixels."""


@dataclass(frozen=True)
class Frame:
    """The way from a photograph to a network's input: a place times `scale`, plus `offset`."""

    original: ImageSize
    """Of the photograph, turned as its metadata says."""
    size: ImageSize
    """Of the network's input."""
    scale: Point = (1.0, 1.0)
    offset: Point = (0.0, 0.0)

    @classmethod
    def of(cls, size: ImageSize) -> Frame:
        """Return the frame of a photograph as it is."""
        return cls(size, size)

    def resized(self, size: ImageSize) -> Frame:
        """Return the frame once the image was resized."""
        across, down = size[0] / self.size[0], size[1] / self.size[1]
        return replace(
            self,
            size=size,
            scale=(self.scale[0] * across, self.scale[1] * down),
            offset=(self.offset[0] * across, self.offset[1] * down),
        )

    def cropped(self, left: int, top: int, size: ImageSize) -> Frame:
        """Return the frame once `size` was cut out of the image at `left` and `top`."""
        return replace(self, size=size, offset=(self.offset[0] - left, self.offset[1] - top))

    def centred(self, size: ImageSize) -> Frame:
        """Return the frame once the image lies in the middle of a canvas; an odd pixel is on the right and below."""
        return self.cropped(-((size[0] - self.size[0]) // 2), -((size[1] - self.size[1]) // 2), size)

    def to_input(self, x: float, y: float) -> Point:
        """Return where a place of the photograph is in the network's input; it may lie outside of it."""
        return x * self.scale[0] + self.offset[0], y * self.scale[1] + self.offset[1]

    def to_original(self, x: float, y: float) -> Point:
        """Return where a place of the network's input is in the photograph; on a canvas it lies outside of it."""
        return (x - self.offset[0]) / self.scale[0], (y - self.offset[1]) / self.scale[1]
