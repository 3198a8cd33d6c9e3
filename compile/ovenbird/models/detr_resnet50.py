"""DETR with ResNet-50 (Carion et al. 2020) as transformers defines it: `pip install transformers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.models._default_weights import UserWeights, require
from ovenbird.models._torchvision import coco_labels, import_torchvision
from ovenbird.models.recipe import ModelRecipe
from ovenbird_runtime.manifest.answers import LABELS, Boxes
from ovenbird_runtime.manifest.steps import Normalise, Resize

if TYPE_CHECKING:
    from torch import nn

SIZE = 640
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _network() -> nn.Module:
    import_torchvision()
    try:
        from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig
    except ImportError as error:
        raise require("transformers", error) from None
    from ovenbird.models._boxes import DetrBoxes

    backbone = ResNetConfig(out_features=["stage4"])
    config = DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, num_labels=91
    )
    return DetrBoxes(DetrForObjectDetection(config))


MODEL = ModelRecipe(
    name="detr_resnet50",
    summary="DETR with ResNet-50, 41.5 M parameters, 100 boxes of 91 classes in 640x640, weights from a file",
    licence="Apache-2.0 (DETR, transformers); the weights were trained on COCO, whose terms are of its photographs",
    network=_network,
    head="",
    weights=UserWeights("transformers' detr-resnet-50 (no_timm)"),
    labels=lambda: coco_labels(),
    image_size=SIZE,
    outputs=(Boxes(labels=LABELS, score=0.5, nms="none"),),
    pipelines={"detr": (Resize(exact=(SIZE, SIZE)), Normalise(mean=MEAN, std=STD))},
)
