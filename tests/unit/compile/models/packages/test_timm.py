"""timm's networks by name, where timm is installed: the pixels of its own transforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovenbird.errors import ExtraMissing, NetworkUnreadable, UnknownNetwork, UsageError
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.models.packages import timm as ours
from ovenbird.models.packages.package import Package
from ovenbird.models.packages.table import PACKAGES
from ovenbird.networks.torchvision import import_torchvision
from ovenbird_runtime.preprocess.interpreted import apply

PICTURE = Path(__file__).parents[5] / "examples" / "chelsea.png"


def test_a_package_that_is_not_installed_names_the_command() -> None:
    absent = Package("absent", "absent_package", "pip install absent", "", PACKAGES["timm"].loader)
    for call in (absent.names, lambda: absent.load("x", {}, None, None)):
        with pytest.raises(ExtraMissing, match="the package absent_package is not installed: pip install absent"):
            call()


@pytest.fixture(scope="module")
def timm() -> object:
    import_torchvision()
    return pytest.importorskip("timm")


CONFIGS = {
    "center": {"crop_pct": 0.95, "crop_mode": "center", "interpolation": "bicubic", "input_size": (3, 224, 224)},
    "squash": {"crop_pct": 1.0, "crop_mode": "squash", "interpolation": "bilinear", "input_size": (3, 160, 160)},
    "wide": {"crop_pct": 0.875, "crop_mode": "squash", "interpolation": "bicubic", "input_size": (3, 128, 160)},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_pixels_are_those_of_its_transforms(timm: object, name: str) -> None:
    from timm.data import create_transform

    config = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), **CONFIGS[name]}
    image = Image.open(PICTURE).convert("RGB")
    right = create_transform(**config)(image).numpy()
    found = apply(ours._pipeline("net", config, config["input_size"][1:]), image, seed=0)
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("mode", "size"), [("center", (128, 160)), ("border", (128, 128))])
def test_pixels_that_no_step_makes_are_left_to_the_user(mode: str, size: tuple[int, int]) -> None:
    config = {"mean": (0.5,), "std": (0.5,), "crop_pct": 1.0, "crop_mode": mode, "interpolation": "bicubic"}
    assert ours._pipeline("net", config, size) == ()


def test_a_network_by_its_name(timm: object) -> None:
    network = load_network("timm:resnet10t", NetworkOptions(weights="random:0"))
    assert (network.default_pipeline, len(network.labels)) == ("timm", 1000)
    assert [(one.name, one.shape) for one in network.outputs] == [("logits", ("N", 1000))]
    with pytest.raises(UnknownNetwork, match="timm has no 'resnet10u'; did you mean"):
        load_network("timm:resnet10u")
    with pytest.raises(UsageError, match="weights are given by --weights"):
        load_network("timm:resnet10t(pretrained=True)")
    with pytest.raises(NetworkUnreadable, match="timm:resnet10t: TypeError"):
        load_network("timm:resnet10t(sise=3)")
