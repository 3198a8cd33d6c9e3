"""Tiny-YOLOv2 (Redmon and Farhadi 2016) for Pascal VOC's twenty classes, from its published `.cfg`.

Its weights are darknet's file, yolov2-tiny-voc.weights, 63 MB, which no package brings: `--weights FILE`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.models._default_weights import UserWeights
from ovenbird.models.recipe import ModelRecipe
from ovenbird_runtime.manifest.answers import LABELS, Boxes
from ovenbird_runtime.manifest.steps import Normalise, Resize, letterbox

if TYPE_CHECKING:
    from torch import nn

CFG = Path(__file__).parent / "darknet" / "tiny_yolov2_voc.cfg"
SIZE = (416, 416)


def _network() -> nn.Module:
    from ovenbird.networks.darknet.building import build_network
    from ovenbird.networks.darknet.cfg import read_cfg

    return build_network(read_cfg(CFG), None)


def _labels() -> tuple[str, ...]:
    return tuple(CFG.with_suffix(".names").read_text(encoding="utf-8").split())


MODEL = ModelRecipe(
    name="tiny_yolov2_voc",
    summary="Tiny-YOLOv2, 15.9 M parameters, boxes of 20 classes in 416x416, weights from darknet's file",
    licence="public domain (darknet); the weights were trained on Pascal VOC, whose terms are Flickr's",
    network=_network,
    head="",
    weights=UserWeights("yolov2-tiny-voc.weights of darknet"),
    labels=_labels,
    image_size=416,
    outputs=(Boxes(labels=LABELS),),
    pipelines={
        "stretch": (Resize(exact=SIZE, interpolation="opencv-linear"), Normalise()),
        "letterbox": (*letterbox(SIZE), Normalise()),
    },
    cfg=CFG,
)
