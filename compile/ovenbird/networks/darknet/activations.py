"""darknet's activations by their names in a `.cfg` (activations.h), as torch functions.

ACTIVATIONS["leaky"](tensor)        # 0.1 below zero
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

MapFunction = Callable[[torch.Tensor], torch.Tensor]

ACTIVATIONS: dict[str, MapFunction] = {
    "linear": lambda x: x,
    "leaky": lambda x: functional.leaky_relu(x, 0.1),
    "relu": functional.relu,
    "relu6": functional.relu6,
    "logistic": torch.sigmoid,
    "loggy": lambda x: 2.0 * torch.sigmoid(x) - 1.0,
    "tanh": torch.tanh,
    "elu": functional.elu,
    "selu": functional.selu,
    "swish": functional.silu,
    "mish": functional.mish,
    "hardtan": lambda x: torch.clamp(x, -1.0, 1.0),
    "ramp": lambda x: functional.relu(x) + 0.1 * x,
    "relie": lambda x: functional.leaky_relu(x, 0.01),
}
