"""What all of torchvision's classifiers have in common; each model's file adds its row.

MODEL = classifier("resnet18", head="fc", weights="ResNet18_Weights.IMAGENET1K_V1", summary="...")
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ovenbird.models.recipe import ModelRecipe, imagenet_pipelines

if TYPE_CHECKING:
    from torch import nn

LICENCE = "BSD-3-Clause (torchvision); the weights were trained on ImageNet, whose terms are for research"
NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import torchvision, also beside a torch whose build its C++ operators do not match.

    Its Python part asks for the schemas of two of those operators at import; no classifier calls them. They are made up
    only where they are missing: to define one that torchvision brings would end the process.
    """
    try:
        import torchvision
    except RuntimeError:  # "operator torchvision::nms does not exist": its library could not be loaded
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("torchvision::nms", "torchvision::qnms"):
            torch.library.define(operator, NMS)
        import torchvision

    module: ModuleType = torchvision
    return module


def imagenet_labels() -> tuple[str, ...]:
    """Give the 1,000 class names of ImageNet, as torchvision spells them."""
    import_torchvision()
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return tuple(_IMAGENET_CATEGORIES)


def classifier(name: str, *, head: str, weights: str, summary: str, resize: int = 256) -> ModelRecipe:
    """Give the recipe of torchvision's classifier `name`, whose last linear layer is at the path `head`."""
    from ovenbird.models._default_weights import TorchvisionWeights

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
        pipelines=imagenet_pipelines(resize=resize),
    )
