"""The optimisations that a build can leave out, to see what each gains (`ovenbird bench --ablation`).

BuildOptions(without=frozenset({"winograd"}))           # every 3x3 convolution computed directly

What takes an optimisation's place is the nearest plain form, which computes the same numbers.
"""

from __future__ import annotations

from typing import Literal, get_args

Optimisation = Literal["folding", "layouts", "tiles", "fusion", "winograd"]
"""folding: batch norms in the weights of the convolutions before them. layouts: images in blocks of channels, weights
packed while compiling. tiles: sums in registers, by a schedule for each kind of kernel. fusion: elementwise operators,
and attention's parts, in one kernel. winograd: 3x3 convolutions with fewer products.
"""
OPTIMISATIONS: tuple[Optimisation, ...] = get_args(Optimisation)
Without = frozenset[Optimisation]
NOTHING: Without = frozenset()
