"""torchvision's detectors as programs of fixed shapes give the boxes that its own code gives on the same tensor.

Random weights, whose last layers are fitted to give what trained ones give: scores that can be told apart.
"""

import numpy as np
import pytest
import torch

from ovenbird.errors import UsageError
from ovenbird.models import recipe
from ovenbird.models.packages.detection.one_stage import OneStage
from ovenbird.models.packages.detection.two_stage import TwoStage
from ovenbird.models.packages.table import PACKAGES
from ovenbird.networks.random_weights import randomise
from ovenbird.networks.torchvision import import_torchvision
from ovenbird_runtime.manifest.agreement import LIMITS
from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.manifest.candidates import aligned, compare_output
from ovenbird_runtime.manifest.steps import Pad
from support.torchvision_reference import batched_nms, detect

FEW = {"rpn_post_nms_top_n_test": 60, "box_detections_per_img": 8}
DETECTORS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": {},
    "fasterrcnn_resnet50_fpn": FEW,
    "fasterrcnn_resnet50_fpn_v2": FEW,
    "fcos_resnet50_fpn": {},
    "keypointrcnn_resnet50_fpn": {**FEW, "num_classes": 2, "num_keypoints": 5},
    "maskrcnn_resnet50_fpn": FEW,
    "maskrcnn_resnet50_fpn_v2": FEW,
    "retinanet_resnet50_fpn": {},
    "retinanet_resnet50_fpn_v2": {},
    "ssd300_vgg16": {},
    "ssdlite320_mobilenet_v3_large": {},
}
SMALL = ("fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large", "fcos_resnet50_fpn")
SIDES = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": (192, 224),
    "ssd300_vgg16": (300, 300),
    "ssdlite320_mobilenet_v3_large": (320, 320),
}


@pytest.mark.parametrize(
    "name", [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in DETECTORS]
)
def test_boxes_are_torchvision_s(name: str) -> None:
    builder = getattr(import_torchvision().models.detection, name)
    net = builder(weights=None, weights_backbone=None, **{"num_classes": 6, **DETECTORS[name]}).eval()
    two = hasattr(net, "roi_heads")
    padded = net.transform.fixed_size is None
    ours = (TwoStage if two else OneStage)(net, padded).eval()
    if "mobilenet" in name and two:  # regions smaller than a place of the map are pooled alike, and their scores tie
        net.rpn.min_size = 40.0
    image = torch.randn(1, 3, *SIDES.get(name, (96, 128)), generator=torch.Generator().manual_seed(1))
    randomise(ours, 3, (image,))
    settings = net.roi_heads if two else net
    picture = (image.shape[2], image.shape[3])
    if padded:  # boxes are clipped to the picture, and what lies in the padding alone is none
        picture = (picture[0] - 13, picture[1] - 21)
        image[:, :, picture[0] :] = 0
        image[:, :, :, picture[1] :] = 0
    right = detect(net, image, picture)
    assert len(right["scores"]) >= 5
    assert right["scores"].max() - right["scores"].min() > 0.1
    with torch.no_grad():
        found = {key: value[0] for key, value in ours(image).items()}
        both = ours(torch.cat([image.flip(-1), image]))
    assert ours.rows_apart
    for key, value in both.items():
        torch.testing.assert_close(value[1][:5], found[key][:5], rtol=1e-3, atol=1e-2)
    shown = found["scores"] > settings.score_thresh
    found = {key: value[shown] for key, value in found.items()}
    if not {"masks", "keypoints"} & found.keys():
        kept = batched_nms(found["boxes"], found["scores"], found["classes"], settings.nms_thresh)
        found = {key: value[kept[: settings.detections_per_img]] for key, value in found.items()}
    assert len(found["scores"]) == len(right["scores"])
    torch.testing.assert_close(found["scores"], right["scores"], rtol=1e-4, atol=1e-5)
    for place, (box, score, kind) in enumerate(
        zip(found["boxes"], found["scores"], found["classes"], strict=True)
    ):  # near ties may stand in another order
        like = (right["labels"] == kind) & ((right["scores"] - score).abs() < 1e-4)
        gaps = (right["boxes"][like] - box).abs().amax(1)
        assert gaps.min() < 1e-2
        if "masks" in found:
            masks = right["masks"][like][gaps.argmin(), 0]
            torch.testing.assert_close(found["masks"][place], masks, rtol=1e-3, atol=1e-4)
        if "keypoints" in found:
            points = torch.cat((right["keypoints"][..., :2], right["keypoints_scores"][..., None]), -1)
            torch.testing.assert_close(found["keypoints"][place], points[like][gaps.argmin()], rtol=1e-3, atol=1e-2)


def test_a_fault_in_a_head_is_seen() -> None:
    builder = import_torchvision().models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    net = TwoStage(
        builder(weights=None, weights_backbone=None, num_classes=6, rpn_post_nms_top_n_test=60), padded=True
    ).eval()
    images = torch.randn(2, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    randomise(net, 3, (images[:1],))
    steps, limits, head = (Boxes(),), LIMITS["f32"], net.roi_heads.box_predictor

    def answers() -> dict[str, np.ndarray]:
        with torch.no_grad():
            return {name: tensor.numpy() for name, tensor in net(images).items()}

    def faults(given: dict[str, np.ndarray]) -> list[str]:
        laid = aligned(steps, given, right, limits)
        return [name for name in right if compare_output(steps, name, laid[name], right[name], limits).fault]

    right = answers()
    rounded = {**right, "scores": right["scores"] * np.float32(1 + 4e-6)}
    assert not faults(rounded)
    for layer, factor in ((head.cls_score, 1.01), (head.bbox_pred, 1.05), (net.rpn.head.cls_logits, -1.0)):
        with torch.no_grad():
            layer.weight.mul_(factor)
            assert faults(answers()), layer
            layer.weight.div_(factor)


def test_what_a_name_gives() -> None:
    torchvision = PACKAGES["torchvision"]
    assert set(DETECTORS) <= set(torchvision.names())
    found = torchvision.load("ssdlite320_mobilenet_v3_large", {"num_classes": 4}, None, "random:0")
    assert found.boxes == {"iou": 0.55, "max_boxes": 300}
    assert found.labels == ()
    assert [step.step for step in found.pipeline] == ["resize", "normalise"]
    with pytest.raises(UsageError, match=r"--size 100x320: .* takes multiples of 32 pixels"):
        torchvision.load("fasterrcnn_mobilenet_v3_large_320_fpn", {}, (100, 320), "random:0")
    found = torchvision.load("keypointrcnn_resnet50_fpn", {}, (320, 320), "random:0")
    assert found.net.padded
    assert found.pipeline[1] == Pad(size=(320, 320), value=None, place="top-left")
    assert found.boxes == {"iou": 0.5, "max_boxes": 100, "keypoints": "keypoints", "nms": "none"}
    assert found.labels == ("no person", "person")
    found = torchvision.load("ssd300_vgg16", {"num_classes": 4}, None, "random:0")
    assert 50 < found.examples["image"].std() < 65, "what its photographs are like: random weights are fitted to it"
    black = torchvision.load("retinanet_resnet50_fpn", {"image_mean": [0.0] * 3}, (320, 320), "random:0")
    assert not black.net.padded, "black pixels of a picture would be taken for padding"


@pytest.mark.slow
def test_efficientdet_is_decoded_as_effdet_does() -> None:
    import_torchvision()
    pytest.importorskip("effdet")
    net = recipe("efficientdet_d0").build()
    from effdet.anchors import Anchors, decode_box_outputs
    from effdet.bench import _post_process

    image = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(1))
    randomise(net, 3, (image,))
    config = net.model.config
    with torch.no_grad():
        found = net(image)
        logits, deltas, places, classes = _post_process(*net.model(image), config.num_levels, config.num_classes, 1000)
    anchors = Anchors.from_config(config).boxes[places[0]]
    right = decode_box_outputs(deltas[0], anchors, output_xyxy=True)
    torch.testing.assert_close(found["scores"][0], torch.sigmoid(logits[0, :, 0]))
    torch.testing.assert_close(found["boxes"][0], right)
    torch.testing.assert_close(found["classes"][0], classes[0].int())
