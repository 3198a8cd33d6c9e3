"""Scales channels against each other before a depthwise convolution, so that one scale and zero suit them all.

    found = equalise(module, points, seen, weights)            # the same network, but for values that nothing showed
    found.factors                                              # {place of the depthwise layer: Factors}
    module, points = scaled(other, its_points, found.factors)  # another batch size of the network

A tensor has one scale, so a channel that stays below a tenth of the largest has a tenth of the levels. A depthwise
convolution multiplies each channel by weights with a scale of their own: what the layer before it gives more of, it
takes back, and neither's levels change. Between the two may stand a bias, relu or relu6, and padding. (Cross-layer
equalisation: Nagel et al. 2019, https://arxiv.org/abs/1906.04721. Other readers add channels up: there it would move
noise from activations into weights.) relu6 becomes a bound at what the channels were seen to reach, with headroom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import IRModule, relax

from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import array_of
from ovenbird.quantize.fold_norms import channels_of
from ovenbird.quantize.graph import Graph, is_constant, number_of
from ovenbird.quantize.points import Points, choose_points
from ovenbird.quantize.ranges import Seen
from ovenbird.quantize.rewriter import Rewriter
from ovenbird.quantize.rounding.weights import WeightLevels
from ovenbird_runtime.tensors.arrays import Array

HEADROOM = 1.1
"""A channel is given room for so many times what it was seen to reach."""
MOST_FACTOR = 16.0
"""A channel that hardly ever lights up is scaled by no more than this: what it does later must fit as well."""
LEAST_GAIN = 1.1
"""Channels whose factors' mean is below this are left as they are."""
CONVOLUTION, PAD = "relax.nn.conv2d", "relax.nn.pad"


@dataclass(frozen=True)
class Factors:
    """What each channel is multiplied by, float32 [C], and the bound of relu6 behind that."""

    channels: Array
    most: float


@dataclass(frozen=True)
class Pair:
    """A depthwise convolution `reader`, and what stands before it: nobody else reads any of it."""

    layer: relax.Var
    bias: relax.Var | None
    activation: relax.Var
    reader: relax.Var
    high: float
    """Where the activation ends: 6 of relu6, infinity of relu."""


def find_pair(graph: Graph, reader: relax.Var) -> Pair | None:
    """Return the pair that ends in a layer; None where that is no depthwise convolution, or reads something else."""
    call: Any = graph.definitions[reader]
    if graph.name(reader) != CONVOLUTION or not is_constant(call.args[1]):
        return None
    weight = static_shape(call.args[1]) or ()
    if not (len(weight) == 4 and int(call.attrs.groups) == weight[0] > 1 and weight[1] == 1):
        return None
    activation: Any = call.args[0]
    if graph.name(activation) == PAD:
        padding: Any = graph.definitions[activation]
        if str(padding.attrs.pad_mode) != "constant" or float(padding.attrs.pad_value) or not _alone(graph, activation):
            return None
        activation = padding.args[0]
    bounds = _bounds(graph, activation)
    if bounds is None or bounds[0] != 0.0 or not _alone(graph, activation):
        return None
    layer: Any = graph.definitions[activation].args[0]
    bias = None
    if graph.name(layer) == "relax.add" and _alone(graph, layer):
        bias = layer
        layer, added = graph.definitions[bias].args
        if not is_constant(added) or channels_of(array_of(added), static_shape(bias) or ()) is None:
            return None
    if graph.name(layer) != CONVOLUTION or not _alone(graph, layer):
        return None
    return Pair(layer, bias, activation, reader, bounds[1]) if is_constant(graph.definitions[layer].args[1]) else None


def choose_factors(points: Points, seen: Mapping[relax.Var, Seen]) -> dict[int, Factors]:
    """Return the factors by the place of the depthwise layer, for those that gain by them."""
    found, layers = {}, set(points.layers)
    for place, reader in enumerate(points.layers):
        pair, source = find_pair(points.graph, reader), points.uses.get((reader, 0))
        if pair is None or pair.layer not in layers or source is None or points.root_of[source] != source:
            continue
        limits = np.minimum(seen[source].highs * HEADROOM, pair.high)
        most = float(limits.max())
        channels = np.clip(most / np.maximum(limits, 1e-12), 1.0, MOST_FACTOR).astype(np.float32)
        if most > 0 and channels.mean() >= LEAST_GAIN:
            found[place] = Factors(channels, most)
    return found


@dataclass(frozen=True)
class Equalised:
    """A network with channels scaled, its points, and what was seen and rounded, by its own variables."""

    module: IRModule
    points: Points
    seen: dict[relax.Var, Seen]
    weights: dict[relax.Var, WeightLevels]
    factors: Mapping[int, Factors]


def equalise(
    module: IRModule, points: Points, seen: Mapping[relax.Var, Seen], weights: Mapping[relax.Var, WeightLevels]
) -> Equalised:
    """Scale the channels of a module where that helps. Weights keep their levels and have other scales."""
    factors, found = choose_factors(points, seen), dict(weights)
    images: dict[relax.Var, Array] = {}
    for place, one in factors.items():
        pair = find_pair(points.graph, points.layers[place])
        assert pair is not None
        found[pair.layer] = found[pair.layer]._replace(scale=found[pair.layer].scale * one.channels)
        found[pair.reader] = found[pair.reader]._replace(scale=found[pair.reader].scale / one.channels)
        images[points.uses[(pair.reader, 0)]] = one.channels
    values = [seen[root].scaled(images[root]) if root in images else seen[root] for root in points.roots]
    whole = [found[layer] for layer in points.layers]
    module, points = scaled(module, points, factors)
    return Equalised(
        module,
        points,
        dict(zip(points.roots, values, strict=True)),
        dict(zip(points.layers, whole, strict=True)),
        factors,
    )


def scaled(module: IRModule, points: Points, factors: Mapping[int, Factors]) -> tuple[IRModule, Points]:
    """Return a module with channels scaled, and its points; those given are of this very module."""
    if not factors:
        return module, points
    found = _Equalising(module, points, factors).run()
    return found, choose_points(found)


class _Equalising(Rewriter):
    def __init__(self, module: IRModule, points: Points, factors: Mapping[int, Factors]) -> None:
        super().__init__(module)
        self.constants: dict[relax.Var, Array] = {}
        """What the second operand of a call is multiplied by."""
        self.bounds: dict[relax.Var, float] = {}
        for place, one in factors.items():
            pair = find_pair(points.graph, points.layers[place])
            assert pair is not None
            column = one.channels.reshape(-1, 1, 1, 1)
            for layer, scale in ((pair.layer, column), (pair.reader, 1 / column)):
                self.constants[layer] = self.constants.get(layer, np.float32(1)) * scale
            if pair.bias is not None:
                self.constants[pair.bias] = one.channels.reshape(1, -1, 1, 1)
            if np.isfinite(pair.high):
                self.bounds[pair.activation] = one.most

    def rewrite(self, var: relax.Var, value: relax.Expr) -> relax.Expr:
        if var in self.bounds:
            return relax.op.clip(self.substituted(value.args[0]), 0.0, self.bounds[var])
        if var not in self.constants:
            return self.substituted(value)
        scaled = array_of(value.args[1]).astype(np.float32) * self.constants[var]
        constant = relax.const(np.ascontiguousarray(scaled, np.float32), "float32")
        return relax.Call(value.op, [self.substituted(value.args[0]), constant], value.attrs, value.ty_args)


def _alone(graph: Graph, var: Any) -> bool:
    return isinstance(var, relax.Var) and len(graph.readers.get(var, [])) == 1 and var not in graph.outputs


def _bounds(graph: Graph, var: relax.Var) -> tuple[float, float] | None:
    """Return what an activation holds its operand in; None for anything else."""
    name, call = graph.name(var), graph.definitions.get(var)
    if name == "relax.nn.relu":
        return 0.0, float("inf")
    if name == "relax.nn.relu6":
        return 0.0, 6.0
    if name != "relax.clip" or call is None:
        return None
    low, high = (number_of(bound) for bound in call.args[1:3])
    return None if low is None or high is None else (low, high)
