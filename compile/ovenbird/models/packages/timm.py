"""timm's networks, with the pre-processing that its own `resolve_data_config` states.

TIMM.load("resnet18.a1_in1k", {}, None, "random:0").pipeline       # bicubic, 235, centre crop to 224
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ovenbird.errors import NetworkUnreadable, UnknownNetwork, UsageError, WeightsUnavailable, suggest
from ovenbird.models._default_weights import INSTEAD
from ovenbird.models.packages.fetching import check_hub, fetched
from ovenbird.models.packages.package import Package, PackagedNetwork, example, picture_pipeline
from ovenbird.models.packages.sources import check_mentioned
from ovenbird.networks.processing.options import Sides
from ovenbird.networks.torchvision import imagenet_labels, import_torchvision
from ovenbird_runtime.manifest.steps import Pipeline

if TYPE_CHECKING:
    import torch

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")
IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class TimmWeights:
    """The weights that timm fetches for a name, as its own loader puts them into the network."""

    name: str
    keywords: Mapping[str, Any]
    origin: Literal["package"] = "package"

    @property
    def detail(self) -> str:
        """Which weights, for the manifest."""
        return f"timm {self.name}"

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """Return the tensors. Raises WeightsUnavailable."""
        timm = _timm()
        config = timm.create_model(self.name, pretrained=False, **self.keywords).pretrained_cfg
        if not any(config.get(key) for key in ("url", "hf_hub_id", "file")):
            raise WeightsUnavailable(f"timm has no weights for {self.name}; {INSTEAD}")
        if config.get("hf_hub_id"):
            check_hub(str(config["hf_hub_id"]))
        found: Mapping[str, torch.Tensor] = fetched(
            f"timm's weights for {self.name}",
            lambda: timm.create_model(self.name, pretrained=True, **self.keywords).state_dict(),
        )
        return found


def _timm() -> Any:
    import_torchvision()  # timm imports it
    import timm

    return timm


def _names() -> list[str]:
    return list(_timm().list_models())


def _load(name: str, keywords: Mapping[str, Any], size: Sides | None, weights: str | None) -> PackagedNetwork:
    timm = _timm()
    if not timm.is_model(name.partition(".")[0]):
        raise UnknownNetwork(f"timm has no {name!r}{suggest(name, timm.list_models())}")
    if {"pretrained", "checkpoint_path"} & set(keywords):
        raise UsageError(f"timm:{name}: weights are given by --weights")
    try:
        net = _sized(timm, name, keywords, size).eval()
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise NetworkUnreadable(f"timm:{name}: {type(error).__name__}: {str(error).splitlines()[0]}") from error
    config = timm.data.resolve_data_config(model=net)
    channels, own = int(config["input_size"][0]), (int(config["input_size"][1]), int(config["input_size"][2]))
    size = size or own
    cfg = net.pretrained_cfg
    return PackagedNetwork(
        net=net,
        examples={"image": example(1, channels, *size)},
        licence=f"{cfg.get('license') or 'see the package'} (timm)",
        weights=TimmWeights(name, keywords),
        labels=_labels(net, cfg),
        pipeline=_pipeline(name, config, size) if channels == 3 else (),
        outputs=("logits",),
    )


def _sized(timm: Any, name: str, keywords: Mapping[str, Any], size: Sides | None) -> Any:
    """Build the network, for another image size where it is one that must know its own."""
    net = timm.create_model(name, pretrained=False, **keywords)
    if size is None or tuple(timm.data.resolve_data_config(model=net)["input_size"][1:]) == size:
        return net
    if net.pretrained_cfg.get("fixed_input_size"):
        return timm.create_model(name, pretrained=False, **{"img_size": size, **keywords})
    return net


def _labels(net: Any, cfg: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the classes' names, where timm or torchvision knows them."""
    classes = getattr(net, "num_classes", 0)
    names = cfg.get("label_names")
    if names and len(names) == classes:
        return tuple(map(str, names))
    imagenet = classes == IMAGENET_CLASSES and cfg.get("num_classes", classes) == classes
    return imagenet_labels() if imagenet else ()


def _pipeline(name: str, config: Mapping[str, Any], size: Sides) -> Pipeline:
    """Return what timm's evaluation transform does, where the runtime has the same.

    Nothing where it pads with colours (`border`), or keeps the shape of a picture for an image that is no square.
    """
    interpolation = config["interpolation"]
    if interpolation not in FILTERS:
        raise NetworkUnreadable(f"timm:{name} resizes by {interpolation!r}, known are {', '.join(FILTERS)}")
    mean, std = tuple(map(float, config["mean"])), tuple(map(float, config["std"]))
    height, width = (math.floor(side / config["crop_pct"]) for side in size)
    if config["crop_mode"] == "squash":
        return picture_pipeline(size, (height, width), interpolation, mean, std)
    if config["crop_mode"] == "center" and height == width:
        return picture_pipeline(size, height, interpolation, mean, std)
    return ()


def _check(name: str) -> None:
    check_mentioned("timm", name.partition(".")[0])


TIMM = Package(
    "timm",
    "timm",
    "pip install timm",
    "timm's networks, with the pre-processing of each one's weights",
    _load,
    _names,
    _check,
)
