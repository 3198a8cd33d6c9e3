"""The built-in networks: every recipe builds, its weights enum exists, its two outputs are what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ovenbird.errors import UnknownNetwork
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.models import model_names, recipe, recipes
from ovenbird.models._two_outputs import TwoOutputs
from ovenbird.networks.torchvision import import_torchvision
from ovenbird_runtime.preprocess.interpreted import problem

EMBEDDINGS = {
    "densenet121": 1024, "efficientnet_lite0": 1280, "mobilenet_v2": 1280, "mobilenet_v3_small": 1024,
    "resnet18": 512, "resnet50": 2048, "vgg16": 4096, "vit_b_16": 768,
}  # fmt: skip


def test_the_list_is_complete() -> None:
    assert model_names() == sorted([*EMBEDDINGS, "detr_resnet50", "efficientdet_d0", "tiny_yolov2_voc"])
    assert recipe("efficientnet-lite0") is recipe("efficientnet_lite0")


def test_an_unknown_name_is_refused_with_what_is_near() -> None:
    with pytest.raises(UnknownNetwork, match=r"did you mean resnet50"):
        recipe("resnet5")


@pytest.mark.parametrize("name", sorted(EMBEDDINGS))
def test_recipes_are_consistent(name: str) -> None:
    found = recipes()[name]
    assert found.name == name
    assert len(found.labels()) == 1000
    assert "imagenet" in found.pipelines
    for pipeline in found.pipelines.values():
        assert not problem(pipeline)
    enum, _, member = found.weights.detail.partition(".")
    assert found.weights.origin == "package" or hasattr(getattr(import_torchvision().models, enum), member)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "efficientnet_lite0"])
def test_the_embedding_is_what_enters_the_classifier(name: str) -> None:
    found = recipe(name)
    net = found.build()
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        alone = net(image)
        outputs = TwoOutputs(net, found.head)(image)
    assert outputs["embedding"].shape == (1, EMBEDDINGS[name])
    torch.testing.assert_close(outputs["logits"], alone)


def test_efficientnet_has_its_real_weights() -> None:
    network = load_network("efficientnet_lite0")
    assert (network.weights.origin, network.weights.random) == ("package", False)
    assert [spec.shape for spec in network.outputs] == [("N", 1000), ("N", 1280)]


def test_another_image_size_keeps_the_normalisation() -> None:
    network = load_network(
        "efficientnet_lite0", NetworkOptions(weights="random:1", input_shapes={"image": (1, 3, 224, 224)})
    )
    assert network.default_pipeline == "imagenet"
    small = load_network("resnet18", NetworkOptions(weights="random:1", input_shapes={"image": (1, 3, 128, 128)}))
    assert small.inputs[0].shape == ("N", 3, 128, 128)
    assert not problem(small.pipelines["imagenet"])


IMPORT = """
import sys, torch
from ovenbird.networks.torchvision import import_torchvision
import_torchvision()
import_torchvision()
try:
    torch._C._dispatch_find_schema_or_throw("torchvision::nms", "")
    print("defined", len([name for name in sys.modules if name.startswith("torchvision")]) > 0)
except RuntimeError:
    print("left alone")
"""


@pytest.mark.parametrize(
    ("init", "printed"),
    [
        ("", "left alone"),  # it can be imported: whatever it brings, nothing is added
        ("import torch\ntorch.library.register_fake('torchvision::nms')(print)", "defined True"),  # without its library
    ],
)
def test_torchvision_is_helped_only_where_its_operators_are_missing(tmp_path: Path, init: str, printed: str) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(init)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == printed
