"""A network of floats that is watched while it runs: what its tensors hold, and what its layers multiply.

watch = WatchedNetwork(module, calls=64)              # a module of one row
watch.run([array])                           # its own outputs
watch.seen[0], watch.patches[layer]          # of `watch.points.roots[0]`, of one of `watch.points.layers`
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import IRModule

from ovenbird.lowering.pipeline import prepare
from ovenbird.passes.quantized.absorb_padding import absorb_padding
from ovenbird.quantize.calibration.observing import Observer
from ovenbird.quantize.calibration.ranges import SAMPLES, Seen
from ovenbird.quantize.fold_norms import fold_norms
from ovenbird.quantize.points import choose_points
from ovenbird.quantize.rounding.patches import Patches
from ovenbird_runtime.tensors.arrays import Array


class WatchedNetwork:
    """One module, ready to be quantized, and what was seen of it."""

    def __init__(self, module: IRModule, calls: int, samples: int = SAMPLES) -> None:
        """Compile it to show what is to be quantized. `calls`: how often it will run, at most; `samples`: values kept
        of a tensor for each call. Raises BuildFailed.
        """
        self.floats, self.norms = fold_norms(absorb_padding(prepare(module)))
        self.points = choose_points(self.floats)
        self.seen = [Seen(most=samples) for _ in self.points.roots]
        self.patches = {var: Patches(self.points.graph.definitions[var], calls) for var in self.points.layers}
        read = [self.points.uses[(var, 0)] for var in self.points.layers]
        self._observer = Observer(self.floats, [*self.points.roots, *read], outputs=True)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run it on one row, given in the order of its parameters; return its outputs."""
        arrays = self._observer.run_one(inputs)
        cut = len(arrays) - len(self.seen) - len(self.patches)
        for one, array in zip(self.seen, arrays[cut : cut + len(self.seen)], strict=True):
            one.add(array)
        for layer, array in zip(self.patches.values(), arrays[cut + len(self.seen) :], strict=True):
            layer.add(array)
        return arrays[:cut]

    def close(self) -> None:
        """Let go of the compiled code and its weights: it runs no more."""
        del self._observer
