"""Hold an artifact to its framework's whole detector on photographs: the framework's own decoding and suppression.

    python ci/detectors/holding.py REQUEST.json         # as trying.py writes it; prints one line of JSON

Both get the same tensor of each photograph. torchvision: its RPN, heads and `postprocess_detections`; darknet: OpenCV's
own reading, decoding and suppression; transformers and effdet: what they call post-processing. A box agrees where the
other side has one of its class, of an intersection over union of 0.99, and of its score to 0.001. Where a side ends at
its largest number of boxes, those that the other one has below its last are not compared; nor are, of random weights,
those whose score ties with that of a box that suppresses them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.tensors.arrays import Array

IOU, SCORE = 0.99, 1e-3
TIE = 1e-5
"""Random weights give boxes side by side the same score to rounding, which then says which of them suppresses the
other."""
SURE = 0.3
"""Boxes above it are compared, of real weights; of random ones all above the model's own score."""

Found = tuple[Array, Array, Array]
"""Corners [K, 4] in the network's pixels, scores [K], classes [K]."""
Framework = Callable[[Array, Boxes], Found]
"""One tensor [1, 3, H, W] to its boxes."""


def main(arguments: Sequence[str]) -> int:
    """Compare and print."""
    from ovenbird.networks.torchvision import import_torchvision

    given = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    import_torchvision()
    print(json.dumps(hold(given)))
    return 0


def hold(given: dict[str, Any]) -> dict[str, Any]:
    """Return how many boxes were compared, and what share of them both sides have."""
    from ovenbird.loading.load import load_network
    from ovenbird.loading.options import NetworkOptions
    from ovenbird.networks.processing.options import parse_size
    from ovenbird.verify.photographs import read_photographs
    from ovenbird.verify.runtime_process import run_artifact
    from ovenbird_runtime.postprocess.boxes import BoxSettings, find_boxes

    size = parse_size("size", given["size"]) if given["size"] else None
    network = load_network(given["network"], NetworkOptions(weights=given["weights"], size=size))
    framework = framework_of(network, given)
    if framework is None:
        return {}
    [step] = [one for one in network.postprocess if isinstance(one, Boxes)]
    pixels = read_photographs([Path(one) for one in given["photographs"]], network.pipelines[network.default_pipeline])
    outputs = run_artifact(Path(given["artifact"]), {"photographs": {network.inputs[0].name: pixels}})["photographs"]
    least = SURE if not network.weights.random else step.score
    settings = BoxSettings(step.score, step.iou, step.max_boxes, step.agnostic)
    picture = np.tile(pixels.shape[:1:-1], 2)
    compared = agreed = tied = 0
    for row in range(len(pixels)):
        boxes = find_boxes(step, outputs, row, settings, None, None)
        own = tuple(np.array([getattr(one, name) for one in boxes]) for name in ("box", "score", "index"))
        sides = own, framework(pixels[row : row + 1], step)
        limit = max([least] + [scores.min() + SCORE for _, scores, _ in sides if len(scores) >= step.max_boxes])
        one_side, other_side = (with_area(side, picture) for side in sides)
        for one, other in ((one_side, other_side), (other_side, one_side)):
            for place in np.flatnonzero(one[1] > limit):
                box = [part[place] for part in one]
                same = has(other, box)
                if not same and network.weights.random and is_tied(other, box, step.iou):
                    tied += 1
                else:
                    compared, agreed = compared + 1, agreed + same
    held = {"held": compared, "held_agreed": agreed, "tied": tied}
    return {"photographs": len(pixels), **held, "least": least}


def with_area(found: Found, picture: Array) -> Found:
    """Return the boxes within the picture that have an area there: torchvision keeps others, which no answer holds."""
    corners = np.clip(found[0].reshape(-1, 4), 0, picture)
    good = (corners[:, :2] < corners[:, 2:]).all(1)
    return corners[good], found[1][good], found[2][good]


def has(found: Found, box: Sequence[Any]) -> bool:
    """Return whether there is such a box."""
    corners, scores, classes = found
    near = (classes == box[2]) & (np.abs(scores - box[1]) <= SCORE)
    return bool((overlaps(box[0], corners[near]) >= IOU).any())


def is_tied(found: Found, box: Sequence[Any], iou: float) -> bool:
    """Return whether there is a box that this one suppresses, or is suppressed by, as rounding falls."""
    corners, scores, classes = found
    near = (classes == box[2]) & (np.abs(scores - box[1]) <= TIE)
    return bool((overlaps(box[0], corners[near]) > iou).any())


def overlaps(box: Any, others: Array) -> Array:
    """Return a box's intersections over unions with others [K, 4]."""
    one = np.asarray(box)
    common = np.clip(np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2]), 0, None).prod(1)
    areas = (one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1)
    found: Array = common / (areas - common)
    return found


def framework_of(network: Any, given: dict[str, Any]) -> Framework | None:
    """Return what runs the whole detector; None where nobody else decodes it."""
    if given["darknet"]:
        return opencv(given)
    net = network.source.traced.flat.net
    kind = type(net).__name__
    if kind in ("OneStage", "TwoStage"):
        return torchvision(net, given["network"])
    if kind == "EfficientDetBoxes":
        return effdet(net)
    if kind == "DetrBoxes":
        return transformers(net)
    return None


def torchvision(net: Any, reference: str) -> Framework:
    """Return torchvision's detector, of the same parts as ours."""
    import torch
    from torchvision.models import get_model_builder

    from ovenbird.models.packages.detection.boxes import picture_sides
    from ovenbird.networks.reference import parse_reference
    from support.torchvision_reference import detect

    asked = parse_reference(reference)
    whole = get_model_builder(asked.name)(weights=None, weights_backbone=None, **asked.arguments.keywords).eval()
    for name in ("backbone", "rpn", "roi_heads", "head", "anchor_generator"):
        if hasattr(net, name):
            setattr(whole, name, getattr(net, name))

    def run(pixels: Array, step: Boxes) -> Found:
        image = torch.from_numpy(pixels)
        width, height = picture_sides(image, net.padded)[0, 0, :2].int().tolist()
        found = detect(whole, image, (height, width))
        return tuple(found[name].numpy() for name in ("boxes", "scores", "labels"))  # type: ignore[return-value]

    return run


def opencv(given: dict[str, Any]) -> Framework:
    """Return OpenCV's darknet, and the suppression that its users write."""
    from opencv_darknet import OpenCVDarknet
    from peer import Settings

    net: OpenCVDarknet | None = None

    def run(pixels: Array, step: Boxes) -> Found:
        nonlocal net
        side = pixels.shape[2:]
        net = net or OpenCVDarknet(Path(given["network"]), Path(given["weights"]), side, 2)
        boxes = net.detect(pixels, side[::-1], Settings(step.score, step.iou, step.max_boxes))
        corners = np.array([one["box"] for one in boxes]).reshape(-1, 4)
        return corners, np.array([one["score"] for one in boxes]), np.array([one["index"] for one in boxes])

    return run


def effdet(net: Any) -> Framework:
    """Return effdet's post-processing (bench.py, anchors.py)."""
    import torch
    from effdet.anchors import Anchors, decode_box_outputs
    from effdet.bench import _post_process

    from support.torchvision_reference import batched_nms

    config = net.model.config
    anchors = Anchors.from_config(config).boxes

    def run(pixels: Array, step: Boxes) -> Found:
        with torch.no_grad():
            found = _post_process(*net.model(torch.from_numpy(pixels)), config.num_levels, config.num_classes, 5000)
        logits, deltas, places, classes = (one[0] for one in found)
        scores = torch.sigmoid(logits.squeeze(-1))
        good = scores > step.score
        boxes, scores = decode_box_outputs(deltas[good], anchors[places[good]], output_xyxy=True), scores[good]
        kinds = classes[good].view(-1)
        kept = batched_nms(boxes, scores, kinds, step.iou)[: step.max_boxes]
        return boxes[kept].numpy(), scores[kept].numpy(), kinds[kept].numpy()

    return run


def transformers(net: Any) -> Framework:
    """Return what `DetrImageProcessor.post_process_object_detection` does."""
    import torch
    from transformers import DetrImageProcessor

    processor = DetrImageProcessor()

    def run(pixels: Array, step: Boxes) -> Found:
        with torch.no_grad():
            raw = net.model(pixel_values=torch.from_numpy(pixels))
        sizes = torch.tensor([pixels.shape[2:]])
        [found] = processor.post_process_object_detection(raw, threshold=step.score, target_sizes=sizes)
        return tuple(found[name].numpy() for name in ("boxes", "scores", "labels"))  # type: ignore[return-value]

    return run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
