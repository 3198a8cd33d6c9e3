"""Activations drawn from what batch norms remember of the data that a network was trained on.

    drawn = distil(graph, norms, root)        # float32 samples of what the tensor `root` holds; None where nobody knows

Behind a batch norm each channel has the mean beta and the standard deviation gamma over the training data. What a layer
stores behind its norm and relu, relu6, sigmoid or silu is drawn channel by channel. (ZeroQ draws pictures so: Cai et
al. 2020, https://arxiv.org/abs/2001.00281.) A norm of mean 0 and variance 1 was folded: it remembers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ovenbird.quantize.graph import Graph
from ovenbird_runtime.tensors.arrays import Array

DRAWS = 4096
"""Samples of a tensor: as many as of a picture."""
SEED = 11


@dataclass(frozen=True)
class NormStatistics:
    """The mean and the standard deviation of each channel of a norm's results."""

    mean: Array
    deviation: Array

    @staticmethod
    def of(call: relax.Call) -> NormStatistics | None:
        """Return those of a batch norm with constant parameters; None where it remembers nothing."""
        gamma, beta, mean, variance = (one.value.numpy().astype(np.float64) for one in call.args[1:5])
        if not mean.any() and (variance == 1).all():
            return None
        gamma = gamma if int(call.attrs.scale) else np.ones_like(gamma)
        beta = beta if int(call.attrs.center) else np.zeros_like(beta)
        return NormStatistics(beta, np.abs(gamma))


def distil(graph: Graph, norms: Mapping[str, NormStatistics], root: relax.Var) -> Array | None:
    """Return samples of a tensor; `norms`: by the name of the variable that a norm's results are bound to."""
    activations: list[Callable[[Array], Array]] = []
    var = root
    while var.name not in norms:
        call: Any = graph.definitions.get(var)
        activation = _silu(graph, call) or _activation(call)
        if activation is None or not isinstance(call.args[0], relax.Var):
            return None
        activations.append(activation)
        var = call.args[0]
    found = norms[var.name]
    random = np.random.default_rng(SEED)
    channels = random.integers(0, len(found.mean), DRAWS)
    drawn = found.mean[channels] + found.deviation[channels] * random.standard_normal(DRAWS)
    for activation in reversed(activations):
        drawn = activation(drawn)
    return drawn.astype(np.float32)


def _activation(call: Any) -> Callable[[Array], Array] | None:
    """Return an activation as numpy computes it; None for anything else."""
    name = getattr(getattr(call, "op", None), "name", "")
    if name == "relax.clip":
        least, most = (_number(bound) for bound in call.args[1:3])
        return None if least is None or most is None else lambda values: np.clip(values, least, most)
    return ACTIVATIONS.get(name)


def _silu(graph: Graph, call: Any) -> Callable[[Array], Array] | None:
    """Return x * sigmoid(x), where that is what a product is."""
    if getattr(getattr(call, "op", None), "name", "") != "relax.multiply":
        return None
    left, right = call.args
    gate: Any = graph.definitions.get(right) if isinstance(right, relax.Var) else None
    same = getattr(getattr(gate, "op", None), "name", "") == "relax.sigmoid" and gate.args[0] == left
    return ACTIVATIONS["relax.nn.silu"] if same else None


def _number(bound: Any) -> float | None:
    value = getattr(bound, "value", None)
    if isinstance(value, (tvm.tirx.FloatImm, tvm.tirx.IntImm)):
        value = value.value
    return float(value) if isinstance(value, (int, float)) else None


def _sigmoid(values: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-values))
    return found


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relax.nn.relu": lambda values: np.maximum(values, 0),
    "relax.nn.relu6": lambda values: np.clip(values, 0, 6),
    "relax.nn.silu": lambda values: values * _sigmoid(values),
    "relax.sigmoid": _sigmoid,
}
