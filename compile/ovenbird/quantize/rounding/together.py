"""The weights of several networks in whole numbers: layers that share weights share their levels.

    found, = rounded_weights([(points, patches)], narrow=False)              # of one network, by layer
    of_prefill, of_step = rounded_weights([(points, patches), (others, of_others)], narrow=False)

Weights that stand in several places are rounded once, on what all of those multiply, and so are stored once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.passes.share_constants import array_of, key_of
from ovenbird.process.progress import Progress
from ovenbird.quantize.points import CONVOLUTIONS, Points
from ovenbird.quantize.rounding.joint_rounding import HELD, round_jointly
from ovenbird.quantize.rounding.patches import Patches
from ovenbird.quantize.rounding.weights import WeightLevels, quantize_weight, rows_of, weight_of
from ovenbird_runtime.tensors.arrays import Array

Layers = tuple[Points, dict[relax.Var, Patches]]
"""A network's points, and what each of its layers multiplies, which is taken out as it is used."""


def rounded_weights(
    networks: Sequence[Layers], narrow: bool, step: Progress | None = None
) -> list[dict[relax.Var, WeightLevels]]:
    """Return each network's weights by layer: rounded together, or to the nearest levels where those are better.

    `narrow`: pairs are held (`weights.py`).
    """
    sharing: dict[Any, list[tuple[int, relax.Var]]] = {}
    for place, (points, _) in enumerate(networks):
        for var in points.layers:
            call: Any = points.graph.definitions[var]
            groups = int(call.attrs.groups) if call.op.name in CONVOLUTIONS else 1
            sharing.setdefault((key_of(array_of(call.args[1])), groups), []).append((place, var))
    found: list[dict[relax.Var, WeightLevels]] = [{} for _ in networks]
    for done, layers in enumerate(sharing.values()):
        place, var = layers[0]
        rows = [networks[at][1].pop(layer).rows() for at, layer in layers]
        levels = _rounded(networks[place][0].graph.definitions[var], joined(rows), narrow)
        for at, layer in layers:
            found[at][layer] = levels
        if step is not None:
            step("rounding weights", done + 1, len(sharing))
    return [{var: one[var] for var in points.layers} for one, (points, _) in zip(found, networks, strict=True)]


def joined(rows: Sequence[Array | None]) -> Array | None:
    """Return rows [groups, n, products] of several layers as one's; the last ones, which rounding is judged by, are the
    last of each. None where one has none.
    """
    kept = [one for one in rows if one is not None]
    if len(kept) < len(rows):
        return None
    if len(kept) == 1:
        return kept[0]
    cuts = [one.shape[1] - one.shape[1] // HELD for one in kept]
    first = [one[:, :cut] for one, cut in zip(kept, cuts, strict=True)]
    last = [one[:, cut:] for one, cut in zip(kept, cuts, strict=True)]
    return np.concatenate([*first, *last], axis=1)


def _rounded(call: Any, rows: Array | None, narrow: bool) -> WeightLevels:
    weight, convolves = array_of(call.args[1]), call.op.name in CONVOLUTIONS
    axis, groups = (0, int(call.attrs.groups)) if convolves else (weight.ndim - 1, 1)
    nearest = quantize_weight(weight, axis, narrow)
    if rows is None:
        return nearest
    window = math.prod(weight.shape[2:]) if convolves else 1
    scale = nearest.scale.reshape(groups, -1)
    levels = round_jointly(rows_of(weight, axis, groups), scale, rows, window if narrow else None)
    return nearest if levels is None else nearest._replace(levels=weight_of(levels, axis, weight.shape))
