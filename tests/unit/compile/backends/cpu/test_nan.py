"""NaN goes where torch lets it go: through activations, pooling, maxima and what fuses with them."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from support.codegen import Function


def image() -> torch.Tensor:
    """Return an image with two NaN."""
    x = torch.randn(1, 24, 9, 11)
    x[0, 3, 5, 7] = x[0, 20, 0, 0] = torch.nan
    return x


MAPS = {
    "relu": torch.relu,
    "relu6": functional.relu6,
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp from below": lambda x: x.clamp(min=-1),
    "clamp from above": lambda x: x.clamp(max=1),
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "leaky": lambda x: functional.leaky_relu(x, 0.1),
    "maximum": lambda x: torch.maximum(x, x.flip(-1)),
    "minimum": lambda x: torch.minimum(x.flip(-1), x),
    "softmax": lambda x: x.softmax(1),
    "amax": lambda x: x.amax((2, 3)),
    "amin": lambda x: x.amin(-1),
    "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(-1),
    "mean": lambda x: x.mean((2, 3)),
    "max pool": lambda x: functional.max_pool2d(x, 3, 2, 1),
    "average pool": lambda x: functional.avg_pool2d(x, 3, 2, 1),
}


@pytest.mark.parametrize("name", MAPS)
def test_of_a_plain_tensor(check, name):
    check(Function(MAPS[name]), image())


@pytest.mark.parametrize("name", [name for name in MAPS if not name.startswith("arg")])
def test_behind_a_convolution(check, name):
    check(nn.Sequential(nn.Conv2d(24, 24, 1, groups=24), Function(MAPS[name])), image())


def test_the_first_of_equals(check):
    check(Function(lambda x: x.argmax(-1)), torch.tensor([[1.0, 3, 3, 2], [-torch.inf] * 4, [2, torch.nan, 9, 3]]))
