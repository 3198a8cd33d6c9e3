"""torchvision's own networks: every builder of classifiers and segmenters by its name, with its weights' transforms.

    TORCHVISION.load("convnext_tiny", {}, None, None).pipeline      # what its weights' transforms() do

A segmenter's transforms keep the picture's shape; an artifact takes one size. Its picture is resized as theirs is, and
the middle is cut out: `size` of 520x780 keeps all of a 3:2 photograph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ovenbird.errors import UnknownNetwork, UnsupportedOperator, UsageError, suggest
from ovenbird.models._default_weights import TorchvisionWeights
from ovenbird.models.packages.detection import detector
from ovenbird.models.packages.package import (
    Package,
    PackagedNetwork,
    example,
    picture_pipeline,
    scaled,
)  # fmt: skip
from ovenbird.models.packages.sources import check_mentioned
from ovenbird.networks.processing.options import Sides
from ovenbird.networks.reference import CallArguments
from ovenbird.networks.torchvision import import_torchvision
from ovenbird.networks.user.code import call_target
from ovenbird_runtime.manifest.steps import Pipeline

LICENCE = "BSD-3-Clause (torchvision); the weights have the terms of what they were trained on"
FOR_IMAGENET = {"transform_input": True, "aux_logits": False, "init_weights": False}
"""What torchvision sets where it loads the weights itself."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {"googlenet": FOR_IMAGENET, "inception_v3": FOR_IMAGENET}
FOR_TRAINING = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")
FRAMES = 16


def _names() -> list[str]:
    """Return the builders whose networks can be compiled."""
    models: Any = import_torchvision().models
    kinds = {name: _kind(models.get_model_builder(name)) for name in models.list_models()}
    return sorted(name for name, kind in kinds.items() if kind != "quantization")


def _kind(builder: Any) -> str:
    """Return "segmentation", "detection", "video", ... by the builder's module; "classification" for the others."""
    parts = builder.__module__.split(".")
    return parts[2] if len(parts) > 3 else "video" if "video" in parts else "classification"


def _load(name: str, keywords: Mapping[str, Any], size: Sides | None, weights: str | None) -> PackagedNetwork:
    models: Any = import_torchvision().models
    if name not in models.list_models():
        raise UnknownNetwork(f"torchvision has no {name!r}{suggest(name, models.list_models())}")
    builder = models.get_model_builder(name)
    kind = _kind(builder)
    _check_kind(name, kind)
    if "weights" in keywords or "weights_backbone" in keywords:
        raise UsageError(f"torchvision:{name}: weights are given by --weights")
    enum = models.get_model_weights(builder)
    if weights is not None and re.fullmatch(r"[A-Z][A-Z0-9_]+", weights) and weights not in enum.__members__:
        raise UsageError(f"--weights {weights}: torchvision:{name} has {', '.join(enum.__members__)}")
    member = enum[weights] if weights in enum.__members__ else enum.DEFAULT
    if kind == "detection":
        return detector.load_detector(name, builder, member, keywords, size)
    transforms = member.transforms()
    own = _image_size(transforms)
    options = dict(OPTIONS.get(name, {}))
    if "vision_transformer" in builder.__module__:
        options["image_size"] = (size or own)[0]
    if kind == "segmentation":
        options["weights_backbone"] = None
    arguments = CallArguments(keywords={"weights": None, **options, **keywords})
    net = call_target(f"torchvision:{name}", builder, arguments)
    net.rows_apart = net.keeps_nothing = True  # large ones take seconds for an image: see networks/torch/forms.py
    own_classes = not {"num_classes"} & set(keywords)
    size = size or own
    return PackagedNetwork(
        net=net.eval(),
        examples=_examples(kind, size),
        licence=LICENCE,
        weights=TorchvisionWeights(enum.__name__, member.name),
        labels=tuple(member.meta["categories"]) if kind == "classification" and own_classes else (),
        pipeline=_pipeline(transforms, own, size) if kind in ("classification", "segmentation") else (),
        outputs=("logits",) if kind in ("classification", "video") else (),
        unused=FOR_TRAINING,
    )


def _check_kind(name: str, kind: str) -> None:
    """Refuse what cannot be compiled, with the reason. Raises UnsupportedOperator."""
    if kind == "quantization":
        raise UnsupportedOperator(
            f"torchvision:{name} computes in int8 by torch.ao's operators, which are not imported; compile "
            f"torchvision:{name.removeprefix('quantized_')}"
        )


def _image_size(transforms: Any) -> Sides:
    """Return what a preset cuts out, or, where it cuts nothing out, a square of what it resizes to."""
    sides = list(getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None) or [128])
    return (int(sides[0]), int(sides[-1]))


def _pipeline(transforms: Any, own: Sides, size: Sides) -> Pipeline:
    return picture_pipeline(
        size,
        scaled(int(transforms.resize_size[0]), own, size) if own != size else int(transforms.resize_size[0]),
        transforms.interpolation.value,
        tuple(transforms.mean),
        tuple(transforms.std),
    )


def _examples(kind: str, size: Sides) -> dict[str, Any]:
    if kind == "video":
        return {"video": example(1, 3, FRAMES, *size)}
    if kind == "optical_flow":
        return {"image1": example(1, 3, *size), "image2": example(1, 3, *size)}
    return {"image": example(1, 3, *size)}


TORCHVISION = Package(
    "torchvision",
    "torchvision",
    "pip install torchvision",
    "classifiers, detectors, segmenters and video classifiers of torchvision, with its weights and transforms",
    _load,
    _names,
    lambda name: check_mentioned("torchvision", name),
)
