"""DETR (Carion et al. 2020) as transformers defines it, with timm's ResNet-50: `pip install transformers timm`.

Pictures are stretched to the network's size, so that it needs no mask of what is picture and what is padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.models._default_weights import UserWeights, require
from ovenbird.models.recipe import ModelRecipe
from ovenbird.networks.torchvision import coco_labels, import_torchvision
from ovenbird_runtime.manifest.answers import LABELS, Boxes
from ovenbird_runtime.manifest.steps import Normalise, Resize

if TYPE_CHECKING:
    from torch import nn

SIZE = 640
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 91


def _network() -> nn.Module:
    import_torchvision()  # transformers and timm import it
    try:
        import timm  # noqa: F401 - its backbone
        import transformers
    except ImportError as error:
        raise require("transformers timm", error) from None
    from ovenbird.models.packages.detection.others import DetrBoxes

    library: Any = transformers
    config = library.DetrConfig(num_labels=CLASSES)
    config._attn_implementation = "eager"
    return DetrBoxes(library.DetrForObjectDetection(config))


MODEL = ModelRecipe(
    name="detr_resnet50",
    summary="DETR with ResNet-50, 41.5 M parameters, boxes of 91 classes in 640x640, weights of transformers",
    licence="Apache-2.0 (transformers); the weights were trained on COCO, whose terms are of its photographs",
    network=_network,
    head="",
    weights=UserWeights("facebook/detr-resnet-50 of transformers"),
    labels=coco_labels,
    image_size=SIZE,
    outputs=(Boxes(labels=LABELS, score=0.5, nms="none"),),
    pipelines={"stretch": (Resize(exact=(SIZE, SIZE)), Normalise(mean=MEAN, std=STD))},
)
