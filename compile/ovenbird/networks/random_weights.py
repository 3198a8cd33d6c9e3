"""Seeded random weights that make a network compute like a trained one: sane activations, real batch norms.

    randomise(net, seed=7)      # the same seed gives the same weights, on any machine

Torch's own initialisation leaves every batch norm at mean 0 and variance 1, so that folding them could not be tested,
and lets activations grow with depth. Here each batch norm gets its own random scale, shift and mean, and a variance
near that of what reaches it: that of one forward pass, rounded to a power of two so that no machine's last bit shows.

A detector says by `head_spreads()` what its last layers give once trained. They are scaled to that, and each channel is
moved to its mean: else all its scores were nearly equal, or all 1, and which boxes are best would say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ovenbird.errors import NetworkUntraceable
from ovenbird_runtime.errors import OvenbirdError

if TYPE_CHECKING:
    import torch
    from torch import nn

IMAGE = (2, 3, 224, 224)
SPREAD = 0.5
"""Standard deviation of the shifts and means, against a standard deviation of 1 for the signal."""

SCALES = (1, 8, 32, 128)
"""Pixels a side of the patches of noise that a detector's picture is the sum of: photographs have no one scale."""
PLACES = 16
"""Outputs of a layer, in all places, from which on each channel has a mean worth its name."""


@dataclass(frozen=True)
class HeadSpread:
    """What a last layer gives once it is trained: the mean of each of its channels, and the spread of its numbers."""

    layer: nn.Module
    """One with a weight and a bias, of which the first axis of the weight counts the channels."""
    mean: float
    std: float
    at_once: bool = False
    """Whether what follows is fitted to what the layer then gives: for one within the network, called once."""


def randomise(net: nn.Module, seed: int, examples: Any = None) -> None:
    """Draw every parameter and every batch norm's statistics of `net`, which is in evaluation mode, from `seed`.

    `examples` are inputs of it, as `tracing.bind` takes them; None for an image of 224x224. Raises NetworkUntraceable.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    from ovenbird.networks.torch.steady import steady_torch
    from ovenbird.networks.torch.tracing import bind, first_line

    random = torch.Generator().manual_seed(seed)
    with torch.no_grad(), steady_torch():
        for module in net.modules():
            _draw_layer(module, random)
        hooks = [
            module.register_forward_pre_hook(_fit_batchnorm(random))  # frozen ones of packages, too
            for module in net.modules()
            if isinstance(module, _BatchNorm)
            or {"running_mean", "running_var"} <= dict(module.named_buffers(recurse=False)).keys()
        ]
        spreads: Sequence[HeadSpread] = cast("Any", net).head_spreads() if hasattr(net, "head_spreads") else ()
        seen: list[list[torch.Tensor]] = [[] for _ in spreads]
        for spread, given in zip(spreads, seen, strict=True):
            hooks.append(spread.layer.register_forward_hook(_listen(spread, given)))
        noise = _patches if spreads else _noise
        try:
            if examples is None:
                net(torch.randn(IMAGE, generator=random))
            else:
                _, tensors, call = bind(net, examples)
                call(net, [noise(tensor, random) for tensor in tensors])
        except OvenbirdError:
            raise
        except Exception as error:
            raise NetworkUntraceable(f"the network does not run on its example inputs: {first_line(error)}") from error
        finally:
            for hook in hooks:
                hook.remove()
        for spread, given in zip(spreads, seen, strict=True):
            if not spread.at_once:
                _fit_head(spread, given)


def _noise(example: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return standard normal numbers in the place of an example's; what is no fraction stays."""
    import torch

    if not example.is_floating_point():
        return example
    return torch.randn(example.shape, generator=random).to(example.dtype)


def _patches(example: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return two pictures in the place of one [1, channels, height, width]: noise of several scales, and of one.

    Both vary as much as the example. What a network makes of them is far apart, as what it makes of photographs may be.
    """
    import torch

    if example.dim() != 4:
        return _noise(example, random)
    total = torch.zeros(example.shape)
    for side in SCALES:
        blocks = [-(-extent // side) for extent in example.shape[2:]]
        patches = torch.randn((*example.shape[:2], *blocks), generator=random)
        for axis in (2, 3):
            patches = patches.repeat_interleave(side, axis)
        total += patches[:, :, : example.shape[2], : example.shape[3]]
    both = torch.cat((total / math.sqrt(len(SCALES)), _noise(example, random)))
    return (both * example.std((0, 2, 3), keepdim=True)).to(example.dtype)


def _draw_layer(module: nn.Module, random: torch.Generator) -> None:
    """Draw the layer's own parameters: He's scale for matrices and filters, small numbers for everything else."""
    from torch.nn import Embedding

    for name, parameter in module.named_parameters(recurse=False):
        if not parameter.is_floating_point():
            continue
        if isinstance(module, Embedding):  # its rows are read, not summed: DETR's queries were all but the same
            parameter.normal_(0.0, 1.0, generator=random)
            continue
        if name == "weight" and parameter.dim() == 1:  # a norm's scale
            parameter.uniform_(0.5, 1.5, generator=random)
        elif parameter.dim() >= 2 and name.endswith("weight"):
            fan_in = parameter[0].numel()
            gain = 2.0 if parameter.dim() == 4 else 1.0
            parameter.normal_(0.0, math.sqrt(gain / fan_in), generator=random)
        else:
            parameter.normal_(0.0, 0.1, generator=random)


def _fit_batchnorm(random: torch.Generator) -> Any:
    """Return a hook that sets a batch norm's statistics from what is about to enter it."""

    def fit(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if module.running_var is None or not inputs:
            return  # it takes the statistics of what it is shown
        spread = float(inputs[0].var(correction=0)) if inputs[0].numel() < 2 else float(inputs[0].var())
        if not math.isfinite(spread):
            raise NetworkUntraceable("with random weights the network's values overflow; give --weights FILE")
        variance = 2.0 ** round(math.log2(max(spread, 1e-6)))
        module.running_var.uniform_(0.5 * variance, 1.5 * variance, generator=random)
        module.running_mean.normal_(0.0, SPREAD * math.sqrt(variance), generator=random)

    return fit


def _listen(spread: HeadSpread, given: list[torch.Tensor]) -> Any:
    """Return a hook that keeps what a layer gives, its channels last: [places, channels]."""

    def keep(module: Any, inputs: Any, output: torch.Tensor) -> Any:
        channels = module.bias.shape[0]
        rows = output.movedim(1, -1) if output.dim() == 4 else output
        given.append(rows.reshape(-1, channels))
        if not spread.at_once:
            return output
        _fit_head(spread, given)
        return module.forward(*inputs)

    return keep


def _fit_head(spread: HeadSpread, given: Sequence[torch.Tensor]) -> None:
    """Scale and move a layer's weight and bias so that it gives what `spread` says: in quarters of an octave, and in
    sixteenths of the spread, so that no machine's last bit shows.
    """
    import torch

    rows = torch.cat(list(given)) if given else torch.zeros(0)
    if not rows.numel():
        return
    layer: Any = spread.layer
    mean = rows.mean(0) if len(rows) >= PLACES else rows.mean().expand(rows.shape[1])
    found = float((rows - mean).square().mean().sqrt())
    if not math.isfinite(found):
        raise NetworkUntraceable("with random weights the network's values overflow; give --weights FILE")
    scale = 2.0 ** (round(4 * math.log2(spread.std / max(found, 1e-6))) / 4)
    step = spread.std / 16
    layer.weight.mul_(scale)
    layer.bias.mul_(scale).add_(torch.round((spread.mean - mean * scale) / step) * step)
