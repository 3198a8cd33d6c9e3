"""What a package gives for a name: the network, what it takes, how pictures get into it, and what its answers mean.

PackagedNetwork(net, {"image": example(1, 3, 224, 224)}, "BSD-3-Clause", weights, labels=("tench", "goldfish"))
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovenbird.errors import ExtraMissing
from ovenbird.networks.processing.options import Sides
from ovenbird.networks.weights import DefaultWeights
from ovenbird_runtime.manifest.steps import CentreCrop, Interpolation, Normalise, Pipeline, Resize

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class PackagedNetwork:
    """A network of a package, in evaluation mode, and what the package says about it."""

    net: nn.Module
    examples: Mapping[str, torch.Tensor]
    licence: str
    weights: DefaultWeights | None
    """None where the network came with them."""
    labels: tuple[str, ...] = ()
    pipeline: Pipeline = ()
    """How the package itself prepares a picture; nothing where its network takes none."""
    outputs: tuple[str, ...] = ()
    """The outputs' names, where the network gives them none."""
    boxes: Mapping[str, Any] | None = None
    """What the manifest's step `boxes` says, for a detector; its network gives boxes, scores, classes."""
    unused: tuple[str, ...] = ()
    """Prefixes of tensors that files have for training alone."""


@dataclass(frozen=True)
class Package:
    """An installed package of networks, or one that is not."""

    prefix: str
    module: str
    install: str
    summary: str
    loader: Callable[[str, Mapping[str, Any], Sides | None, str | None], PackagedNetwork]
    """By name, keyword arguments, image size, and `--weights`."""
    lister: Callable[[], list[str]] | None = None
    """None where only its hub knows the names."""
    checker: Callable[[str], None] | None = None
    """What refuses a name before anything heavy is imported."""

    @property
    def lists(self) -> bool:
        """Whether it knows the names of its networks."""
        return self.lister is not None

    def why_not(self) -> str:
        """Return the command that makes it usable here; "" where it is."""
        return "" if importlib.util.find_spec(self.module) else self.install

    def names(self) -> list[str]:
        """Return the networks' names, as far as the package lists them. Raises ExtraMissing."""
        self._require()
        return self.lister() if self.lister is not None else []

    def check(self, name: str) -> None:
        """Refuse what can be before the package is imported. Raises ExtraMissing, NetworkError, WeightsUnavailable."""
        self._require()
        if self.checker is not None:
            self.checker(name)

    def load(self, name: str, keywords: Mapping[str, Any], size: Sides | None, weights: str | None) -> PackagedNetwork:
        """Return a network by name. Raises ExtraMissing, UnknownNetwork, UsageError, NetworkError, WeightsError."""
        self._require()
        return self.loader(name, keywords, size, weights)

    def _require(self) -> None:
        if self.why_not():
            raise ExtraMissing(f"{self.prefix}: the package {self.module} is not installed: {self.install}")


def example(*shape: int) -> torch.Tensor:
    """Return seeded standard normal numbers."""
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def picture_pipeline(
    size: Sides,
    resize: int | Sides,
    interpolation: Interpolation,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    scale: float | None = None,
) -> Pipeline:
    """Return resize, by the shorter side or to an exact size, centre crop to `size`, and normalise."""
    if isinstance(resize, int):
        first = Resize(shorter=resize, interpolation=interpolation)
    else:
        first = Resize(exact=resize, interpolation=interpolation)
    crop = () if first.exact == size else (CentreCrop(size=size),)
    return (first, *crop, Normalise(mean=mean, std=std, scale=scale))


def scaled(resize: int | Sides, own: Sides, size: Sides) -> int | Sides:
    """Return a resize for another image size than the package's own, in the same proportion."""
    if isinstance(resize, int):
        return round(resize * min(size) / min(own))
    return (round(resize[0] * size[0] / own[0]), round(resize[1] * size[1] / own[1]))
