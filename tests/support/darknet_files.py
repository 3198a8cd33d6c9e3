"""darknet's files for tests: a `.weights` of seeded numbers for any `.cfg`, in the order that darknet's parser reads.

write_weights(cfg, tmp_path / "net.weights", seed=7)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ovenbird.networks.darknet.building import build_network, image_of
from ovenbird.networks.darknet.cfg import read_cfg
from ovenbird.networks.darknet.layers import Connected, Convolution
from ovenbird.networks.random_weights import randomise


def write_weights(cfg: Path, weights: Path, seed: int = 0) -> None:
    """Write weights with which the network computes like a trained one: sane activations, real batch norms."""
    sections = read_cfg(cfg)
    net = build_network(sections, None)
    example = torch.rand(2, *image_of(sections), generator=torch.Generator().manual_seed(seed))
    randomise(net, seed, (example,))
    numbers: list[torch.Tensor] = []
    for layer in net.layers:
        if isinstance(layer, Convolution):
            norm, conv = layer.norm, layer.conv
            if norm is None:
                numbers.append(conv.bias)
            else:
                numbers += [norm.bias, norm.weight, norm.running_mean, norm.running_var]
            numbers.append(conv.weight)
        elif isinstance(layer, Connected):
            numbers += [layer.linear.bias, layer.linear.weight]
            if layer.norm is not None:
                numbers += [layer.norm.weight, layer.norm.running_mean, layer.norm.running_var]
    with weights.open("wb") as file:
        file.write(np.array([0, 2, 0], "<i4").tobytes() + np.array([0], "<i8").tobytes())
        for tensor in numbers:
            file.write(tensor.detach().numpy().astype("<f4").tobytes())
