"""EfficientDet-D0 (Tan et al. 2020) as the package effdet defines it, which is no dependency: `pip install effdet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.models._default_weights import UserWeights, require
from ovenbird.models.recipe import ModelRecipe
from ovenbird.networks.torchvision import coco_labels, import_torchvision
from ovenbird_runtime.manifest.answers import LABELS, Boxes
from ovenbird_runtime.manifest.steps import Normalise, letterbox

if TYPE_CHECKING:
    from torch import nn

SIZE = 512
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _network() -> nn.Module:
    import_torchvision()  # timm imports it
    try:
        from effdet import EfficientDet, get_efficientdet_config
        from effdet.anchors import Anchors
    except ImportError as error:
        raise require("effdet", error) from None
    from ovenbird.models.packages.detection.others import EfficientDetBoxes

    config = get_efficientdet_config("tf_efficientdet_d0")
    return EfficientDetBoxes(EfficientDet(config, pretrained_backbone=False), Anchors.from_config(config).boxes)


MODEL = ModelRecipe(
    name="efficientdet_d0",
    summary="EfficientDet-D0, 3.9 M parameters, boxes of 90 classes in 512x512, weights of effdet from a file",
    licence="Apache-2.0 (effdet); the weights were trained on COCO, whose terms are of its photographs",
    network=_network,
    head="",
    weights=UserWeights("effdet's tf_efficientdet_d0"),
    labels=lambda: coco_labels()[1:],
    image_size=SIZE,
    outputs=(Boxes(labels=LABELS, iou=0.5),),
    pipelines={
        "effdet": (
            *letterbox(SIZE, value=(124, 116, 104), place="top-left", interpolation="bilinear"),
            Normalise(mean=MEAN, std=STD),
        )
    },
)
