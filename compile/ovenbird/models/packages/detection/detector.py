"""torchvision's detectors by their names, each as one program of a fixed size.

    found = load_detector("ssdlite320_mobilenet_v3_large", builder, weights, {}, None)
    found.net, found.pipeline, found.boxes          # OneStage, (Resize, Normalise), {"iou": 0.55, "max_boxes": 300}

torchvision resizes each picture to a size of its own. Here all have one: a picture is fitted into its top left corner,
and the rest is what torchvision pads with, zeros behind the normalisation. By them the program knows the picture's own
size, to which boxes are clipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ovenbird.errors import UsageError
from ovenbird.models._default_weights import TorchvisionWeights
from ovenbird.models.packages.package import PackagedNetwork, example
from ovenbird.networks.processing.options import Sides
from ovenbird.networks.reference import CallArguments
from ovenbird.networks.user.code import call_target
from ovenbird_runtime.manifest.steps import Normalise, Pipeline, Resize, letterbox

LICENCE = "BSD-3-Clause (torchvision); the weights were trained on COCO, whose terms are of its photographs"
USUAL_STD = (0.229, 0.224, 0.225)
DIVISOR = 32
"""Sides of a pyramid's picture are multiples of it, as torchvision pads them."""


def load_detector(
    name: str, builder: Any, weights: Any, keywords: Mapping[str, Any], size: Sides | None
) -> PackagedNetwork:
    """Return a detector. Raises UsageError for a size that it cannot take."""
    from ovenbird.models.packages.detection.one_stage import OneStage
    from ovenbird.models.packages.detection.two_stage import TwoStage

    arguments = CallArguments(keywords={"weights": None, "weights_backbone": None, **keywords})
    net = call_target(f"torchvision:{name}", builder, arguments).eval()
    transform = net.transform
    fixed = transform.fixed_size
    shorter = int(transform.min_size[-1])
    size = size or ((int(fixed[1]), int(fixed[0])) if fixed else (shorter, shorter))
    if not fixed and any(side % DIVISOR for side in size):
        raise UsageError(f"--size {size[0]}x{size[1]}: torchvision:{name} takes multiples of {DIVISOR} pixels")
    two = hasattr(net, "roi_heads")
    settings = net.roi_heads if two else net
    boxes: dict[str, Any] = {"iou": float(settings.nms_thresh), "max_boxes": int(settings.detections_per_img)}
    for what in ("mask", "keypoint"):
        if two and getattr(net.roi_heads, f"{what}_predictor", None) is not None:
            boxes |= {f"{what}s": f"{what}s", "nms": "none"}
    labels = tuple(weights.meta["categories"]) if "num_classes" not in keywords else ()
    padded = not fixed and not _may_be_zero(transform.image_mean)
    return PackagedNetwork(
        net=(TwoStage if two else OneStage)(net, padded).eval(),
        examples={"image": example(1, 3, *size) * _contrast(transform)},
        licence=LICENCE,
        weights=TorchvisionWeights(type(weights).__name__, weights.name),
        labels=labels,
        pipeline=_pipeline(transform, size, padded),
        boxes=boxes,
    )


def _pipeline(transform: Any, size: Sides, padded: bool) -> Pipeline:
    mean, std = (tuple(float(value) for value in values) for values in (transform.image_mean, transform.image_std))
    normalise = Normalise(mean=mean, std=std)
    if transform.fixed_size:
        return (Resize(exact=size, interpolation="opencv-linear"), normalise)
    around = None if padded else tuple(round(255 * value) for value in mean)
    return (*letterbox(size, value=around, place="top-left", rounding="down"), normalise)


def _contrast(transform: Any) -> Any:
    """Return by channel how far normalised photographs differ, where ImageNet's are 1: those of SSD300 by 58."""
    import torch

    return torch.tensor(USUAL_STD).view(3, 1, 1) / torch.tensor(transform.image_std).view(-1, 1, 1)


def _may_be_zero(mean: Sequence[float]) -> bool:
    """Return whether a pixel may be 0 in all channels behind the normalisation, as padding is."""
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    return all((levels == np.float32(value)).any() for value in mean)
