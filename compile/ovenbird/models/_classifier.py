"""What all of torchvision's classifiers have in common; each model's file adds its row.

MODEL = classifier("resnet18", head="fc", weights="ResNet18_Weights.IMAGENET1K_V1", summary="...")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.models._default_weights import TorchvisionWeights
from ovenbird.models.recipe import ModelRecipe
from ovenbird.networks.torchvision import imagenet_labels, import_torchvision

if TYPE_CHECKING:
    from torch import nn

LICENCE = "BSD-3-Clause (torchvision); the weights were trained on ImageNet, whose terms are for research"


def classifier(name: str, *, head: str, weights: str, summary: str) -> ModelRecipe:
    """Return the recipe of torchvision's classifier `name`, whose last linear layer is at the path `head`."""

    def network() -> nn.Module:
        models: Any = import_torchvision().models
        built: nn.Module = getattr(models, name)(weights=None)
        return built

    enum, member = weights.split(".")
    return ModelRecipe(
        name=name,
        summary=summary,
        licence=LICENCE,
        network=network,
        head=head,
        weights=TorchvisionWeights(enum, member),
        labels=imagenet_labels,
    )
