"""Misspelt names of packages' networks: refused by the sources alone; no right name is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from ovenbird.errors import UnknownNetwork
from ovenbird.models.packages.table import PACKAGES


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("torchvision:resnet19", "resnet18"),
        ("torchvision:deeplabv3_resnet51", "deeplabv3_resnet50"),
        ("timm:resnet10u.c3_in1k", "resnet10t"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_close_ones(name: str, close: str) -> None:
    package, _, network = name.partition(":")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"no {package} (make setup)")
    with pytest.raises(UnknownNetwork, match=f"{package} has no .*{close}"):
        PACKAGES[package].check(network)


def test_torch_is_not_imported_for_it() -> None:
    code = "import sys\nfrom ovenbird.loading.options import NetworkOptions\n"
    code += "from ovenbird.loading.request import check_request\n"
    code += "try: check_request('torchvision:resnet19', NetworkOptions())\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), "UnknownNetwork" in done.stderr) == ("False", True)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_names_of_a_package_pass(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"no {package} (make setup)")
    for name in PACKAGES[package].names()[::100]:
        PACKAGES[package].check(name)
