"""What a network is calibrated on, and what is left to verify on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ovenbird.errors import UsageError
from ovenbird.networks.network import Network
from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.tracing import Traced
from ovenbird.quantize.calibration.pictures import find_pictures
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightsInfo
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Resize

STEPS = (Resize(shorter=16), CentreCrop(size=(16, 16)), Normalise())


def network(pipeline: bool = True) -> Network:
    source = TorchSource(Traced.of(nn.Conv2d(3, 4, 3), (torch.randn(1, 3, 16, 16),)))
    own: dict[str, Any] = {"pipelines": {"plain": STEPS}, "default_pipeline": "plain"} if pipeline else {}
    return Network(
        "net", "1", "", WeightsInfo("embedded"), (TensorSpec("image", "float32", ("N", 3, 16, 16)),),
        (TensorSpec("y", "float32", ("N", 4, 14, 14)),), source, **own,
    )  # fmt: skip


def write_pictures(folder: Path, count: int) -> None:
    for index in range(count):
        Image.new("RGB", (20 + index, 18), (index, 10, 20)).save(folder / f"{index:03}.png")
    (folder / "labels.csv").write_text("not a picture")


@pytest.mark.parametrize(("there", "wanted", "used"), [(10, 64, 8), (10, 4, 4), (3, 64, 3), (1, 64, 1)])
def test_pictures_of_a_folder_are_used_or_left_out(tmp_path: Path, there: int, wanted: int, used: int) -> None:
    write_pictures(tmp_path, there)
    found = find_pictures(network(), tmp_path, wanted)
    assert [row[0].shape for row in found.rows] == [(1, 3, 16, 16)] * used
    held = {path.name for path in found.held}
    assert len(held) == there - used
    assert not held & set(found.files)


def test_a_network_without_pre_processing_takes_arrays_only(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    with pytest.raises(UsageError, match="no pre-processing to read photographs by"):
        find_pictures(network(pipeline=False), tmp_path, 8)
    np.savez(tmp_path / "some.npz", image=np.zeros((5, 3, 16, 16)))
    found = find_pictures(network(pipeline=False), tmp_path / "some.npz", 3)
    assert [(row[0].shape, row[0].dtype) for row in found.rows] == [((1, 3, 16, 16), np.float32)] * 3


@pytest.mark.parametrize(
    ("arrays", "error"),
    [
        ({"picture": np.zeros((2, 3, 16, 16))}, "no array 'image', it has picture"),
        ({"image": np.zeros((2, 3, 8, 8))}, r"image is \[2, 3, 8, 8\], expected \[pictures, 3, 16, 16\]"),
        ({"image": np.zeros((0, 3, 16, 16))}, "expected"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], error: str) -> None:
    np.savez(tmp_path / "some.npz", **arrays)
    with pytest.raises(UsageError, match=error):
        find_pictures(network(), tmp_path / "some.npz", 8)


def test_folders_without_pictures_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \.jpg"):
        find_pictures(network(), tmp_path, 8)
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"not an \.npz file"):
        find_pictures(network(), tmp_path / "x.npz", 8)


def test_without_data_views_of_our_own_photographs_are_taken_and_one_is_left() -> None:
    found = find_pictures(network(), None)
    assert len(found.rows) == 32
    assert len(found.files) == 2
    assert [path.name for path in found.held] == ["rocket.jpg"]
    drawn = find_pictures(network(pipeline=False), None)
    assert len(drawn.rows) >= 8
    assert drawn.origin.startswith("random inputs")
