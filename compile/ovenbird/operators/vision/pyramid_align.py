"""Pooling of regions, each from one of several maps: `ovenbird.regions.pool_regions` (RoIAlign over a pyramid, FPN).

One pass over the regions, each of which reads the map that it asks for, and no other.

Example: `PyramidAlign((7, 7), (0.25, 0.125), 2)` of [1, 256, 80, 80], [1, 256, 40, 40], regions [150, 5] and levels
[150] gives [150, 256, 7, 7].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from ovenbird.operators.vision.roi_align import Level, Sampling, write_regions
from ovenbird.operators.writing.loops import write_kernel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec


@dataclass(frozen=True)
class PyramidAlign(OwnOperator):
    """Inputs: a map for each of `scales`, regions [K, 5] as of `RoiAlign`, and the number of each region's map [K]."""

    name = "pyramid_align"
    image_input = image_output = True
    output: tuple[int, int]
    scales: tuple[float, ...]
    samples: int

    @property
    def images(self) -> int:
        """Return the number of maps."""
        return len(self.scales)

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return an image of the output's size for each region."""
        return (Spec((inputs[self.images].shape[0], inputs[0].shape[1], *self.output), inputs[0].dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the pooling of all regions."""
        *maps, regions, chosen = inputs
        (output,) = self.outputs(inputs)

        def body(*buffers: Any) -> None:
            *data, boxes, levels, result = buffers
            pyramid = [
                Level(image, spec.shape, scale) for image, spec, scale in zip(data, maps, self.scales, strict=True)
            ]
            sampling = Sampling(self.samples, aligned=False)
            write_regions(pyramid, levels, boxes, result, output.shape, layout, sampling)

        flat = [((spec.size,), spec.dtype) for spec in (regions, chosen)]
        images = [(layout.shape(spec.shape), spec.dtype) for spec in (*maps, output)]
        return write_kernel(self.name, [*images[:-1], *flat, images[-1]], body)
