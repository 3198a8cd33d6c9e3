"""torchvision's networks by name: which, and that pictures become the very numbers of its own transforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovenbird.errors import UnknownNetwork, UnsupportedOperator, UsageError, WeightsMismatch
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.models.packages import torchvision
from ovenbird.models.packages.table import PACKAGES
from ovenbird.networks.torchvision import import_torchvision
from ovenbird_runtime.manifest.answers import Classification
from ovenbird_runtime.manifest.steps import CentreCrop, Resize
from ovenbird_runtime.preprocess.interpreted import apply
from support.real_data import TEST_DATA

models = import_torchvision().models
NAMES = PACKAGES["torchvision"].names()
PICTURES = [
    Path(__file__).parents[5] / "examples" / "chelsea.png",
    *sorted((TEST_DATA / "photos" / "imagenet").glob("*.JPEG"))[:1],
    *sorted((TEST_DATA / "photos" / "scenes").glob("*.jpg"))[:1],
]


def test_every_classifier_and_segmenter_is_there_and_nothing_quantized() -> None:
    classifiers = models.list_models(module=models)
    segmenters = models.list_models(module=models.segmentation)
    assert len(classifiers) >= 80
    assert {*classifiers, *segmenters} <= set(NAMES)
    assert not {*models.list_models(module=models.quantization)} & {*NAMES}


def presets() -> dict[str, str]:
    """One network for each of the pre-processings that torchvision's weights have."""
    found = {}
    for name in [*models.list_models(module=models), *models.list_models(module=models.segmentation)]:
        found[str(models.get_model_weights(name).DEFAULT.transforms())] = name
    return {name: text for text, name in found.items()}


@pytest.mark.parametrize("name", presets())
def test_pixels_are_those_of_its_transforms(name: str) -> None:
    transforms = models.get_model_weights(name).DEFAULT.transforms()
    own = torchvision._image_size(transforms)
    pipeline = torchvision._pipeline(transforms, own, own)
    for path in PICTURES:
        image = Image.open(path).convert("RGB")
        right, found = transforms(image).numpy(), apply(pipeline, image, seed=0)
        if right.shape != found.shape:  # a segmenter's: all of the picture, the artifact's input has its middle
            left, top = (round((right.shape[axis] - found.shape[axis]) / 2) for axis in (2, 1))
            right = right[:, top : top + found.shape[1], left : left + found.shape[2]]
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-6)


def test_a_network_by_its_name() -> None:
    network = load_network("torchvision:squeezenet1_1", NetworkOptions(weights="random:0", size=(64, 64)))
    assert (network.name, [one.name for one in network.outputs]) == ("torchvision-squeezenet1_1", ["logits"])
    assert network.inputs[0].shape == ("N", 3, 64, 64)
    assert network.postprocess == (Classification(output="logits", labels="labels.txt"),)
    assert (len(network.labels), network.labels[0]) == (1000, "tench")
    assert network.default_pipeline == "torchvision"
    assert network.pipelines["torchvision"][:2] == (Resize(shorter=73), CentreCrop(size=(64, 64)))
    few = load_network("torchvision:squeezenet1_1(num_classes=7)", NetworkOptions(weights="random:0", size=(64, 64)))
    assert (few.outputs[0].shape, few.labels) == (("N", 7), ())


def test_a_file_of_weights_with_what_training_needs(tmp_path: Path) -> None:
    import torch

    whole = models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    state = {**whole.state_dict(), "aux_classifier.0.weight": torch.ones(2)}
    torch.save(state, tmp_path / "net.pth")
    options = NetworkOptions(weights=str(tmp_path / "net.pth"), size=(64, 96))
    network = load_network("torchvision:lraspp_mobilenet_v3_large", options)
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 96)).astype(np.float32)
    with torch.no_grad():
        right = whole(torch.from_numpy(image))["out"].numpy()
    np.testing.assert_allclose(network.reference({"image": image})["out"], right, atol=1e-5)
    assert (network.weights.detail, network.labels, network.postprocess) == ("net.pth", (), ())
    with pytest.raises(WeightsMismatch):
        load_network("torchvision:squeezenet1_1", options)


@pytest.mark.parametrize(
    ("model", "weights", "error", "said"),
    [
        ("torchvision:resnet19", None, UnknownNetwork, "no 'resnet19'; did you mean resnet18"),
        ("torchvision:quantized_resnet18", None, UnsupportedOperator, "compile torchvision:resnet18"),
        ("torchvision:resnet18", "IMAGENET1K_V9", UsageError, "resnet18 has IMAGENET1K_V1, DEFAULT"),
        ("torchvision:resnet18(weights=3)", None, UsageError, "weights are given by --weights"),
        ("torchvision:resnet18(3)", None, UsageError, r"arguments by name, as in torchvision:NAME\(num_classes=10\)"),
    ],
)
def test_refusals(model: str, weights: str | None, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        load_network(model, NetworkOptions(weights=weights))
