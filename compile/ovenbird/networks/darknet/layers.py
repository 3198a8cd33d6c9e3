"""darknet's layers as torch modules, each with darknet's own arithmetic where torch's differs.

Reorg(2)(maps)                      # [N, 64, 26, 26] -> [N, 256, 13, 13], in darknet's order
RoutedMaps(groups=2, group=1)(maps) # the second half of the channels
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from ovenbird.networks.darknet.activations import MapFunction

NORM_EPSILON = 1e-6
"""Added to a variance under the root, as cv2.dnn does (darknet adds it to the root: the same to 1e-6)."""


class Convolution(nn.Module):
    """Convolution, batch norm or bias, activation."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, activation: MapFunction) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.activation = activation

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps of the next layer."""
        maps = self.conv(maps)
        return self.activation(maps if self.norm is None else self.norm(maps))


class Connected(nn.Module):
    """Every input to every output; it takes maps as one row."""

    def __init__(self, linear: nn.Linear, norm: nn.BatchNorm1d | None, activation: MapFunction) -> None:
        super().__init__()
        self.linear = linear
        self.norm = norm
        self.activation = activation

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return [N, outputs, 1, 1]."""
        rows = self.linear(maps.flatten(1))
        return self.activation(rows if self.norm is None else self.norm(rows))[:, :, None, None]


class MaxPool(nn.Module):
    """Pooling with `padding` rows and columns in all, the smaller half of them before the map (maxpool_layer.c)."""

    def __init__(self, size: int, stride: tuple[int, int], padding: int) -> None:
        super().__init__()
        self.size = size
        self.stride = stride
        self.padding = padding

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the largest of each window."""
        before = self.padding // 2
        after = [self._after(extent, stride) for extent, stride in zip(maps.shape[2:], self.stride, strict=True)]
        if before > self.size // 2 or any(rest > 0 for rest in after):
            around = (before, max(after[1], 0) + before, before, max(after[0], 0) + before)
            return functional.max_pool2d(functional.pad(maps, around, value=float("-inf")), self.size, self.stride)
        return functional.max_pool2d(maps, self.size, self.stride, before)

    def _after(self, extent: int, stride: int) -> int:
        """Return how many more rows the last window reaches past the map than were put before it."""
        last = (extent + self.padding - self.size) // stride * stride + self.size
        return last - extent - 2 * (self.padding // 2)


class Reorg(nn.Module):
    """Places to channels, in darknet's order (reorg_cpu with forward=0), which is nobody else's.

    The map [c, h, w] is read as if it were [c / s^2, h * s, w * s], and what that gives is renamed [c * s^2, h/s, w/s].
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return [N, c * s^2, h / s, w / s]."""
        images, channels, height, width = maps.shape
        stride = self.stride
        wide = maps.reshape(images, channels // stride**2, height, stride, width, stride)
        return wide.permute(0, 3, 5, 1, 2, 4).reshape(images, channels * stride**2, height // stride, width // stride)


class Upsample(nn.Module):
    """Each number `stride` times along both axes, times `scale`."""

    def __init__(self, stride: int, scale: float) -> None:
        super().__init__()
        self.stride = stride
        self.scale = scale

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps that are `stride` times as high and wide."""
        larger = functional.interpolate(maps, scale_factor=float(self.stride), mode="nearest")
        return larger if self.scale == 1.0 else larger * self.scale


class RoutedMaps(nn.Module):
    """One of `groups` equal parts of each input's channels, one after the other."""

    def __init__(self, groups: int, group: int) -> None:
        super().__init__()
        self.groups = groups
        self.group = group

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        """Return the channels of all inputs."""
        parts = [self._part(one) for one in maps]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _part(self, maps: torch.Tensor) -> torch.Tensor:
        if self.groups == 1:
            return maps
        size = maps.shape[1] // self.groups
        return maps[:, self.group * size : (self.group + 1) * size]


class Shortcut(nn.Module):
    """The sum of the layer before and others, over the channels that both have (shortcut_cpu).

    Of a map that is larger, every second (third ...) place is taken along both axes.
    """

    def __init__(self, activation: MapFunction) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, maps: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Return the activated sum."""
        channels = maps.shape[1]
        for other in others:
            step = other.shape[2] // maps.shape[2]
            other = other[:, :, ::step, ::step] if step > 1 else other
            more = channels - other.shape[1]
            added = other[:, :channels] if more < 0 else other
            maps = maps + (functional.pad(added, (0, 0, 0, 0, 0, more)) if more > 0 else added)
        return self.activation(maps)


class Product(nn.Module):
    """The product of two maps: `scale_channels` (one of them a number a channel) and `sam`."""

    def __init__(self, activation: MapFunction) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return the activated product."""
        return self.activation(one * other)


class Softmax(nn.Module):
    """Softmax over each of `groups` equal parts of the channels."""

    def __init__(self, groups: int, temperature: float) -> None:
        super().__init__()
        self.groups = groups
        self.temperature = temperature

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the probabilities, in the shape of the input."""
        scores = maps if self.temperature == 1.0 else maps / self.temperature
        if self.groups == 1:
            return torch.softmax(scores, 1)
        parts = scores.reshape(scores.shape[0], self.groups, -1, *scores.shape[2:])
        return torch.softmax(parts, 2).flatten(1, 2)
