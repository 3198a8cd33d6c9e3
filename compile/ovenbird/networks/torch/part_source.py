"""One program of a model of several, as a source: its examples are rows that differ, as tokens must.

PartSource(Traced.of(step, (tokens, positions, keys))).examples(4)      # its first four rows, then those anew
"""

from __future__ import annotations

from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.widening import holdable
from ovenbird_runtime.tensors.arrays import Array


class PartSource(TorchSource):
    """Says what it is given where another source repeats its first row."""

    def examples(self, batch: int) -> list[Array]:
        """Return as many rows of the examples."""
        found = []
        for tensor, batched in zip(self.traced.examples, self.traced.batched, strict=True):
            if batched:
                repeats = -(-batch // tensor.shape[0])
                tensor = tensor.repeat(repeats, *[1] * (tensor.dim() - 1))[:batch].contiguous()
            found.append(holdable(tensor).numpy())
        return found
