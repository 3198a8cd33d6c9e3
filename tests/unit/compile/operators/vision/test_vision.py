"""Sampling, pooling of regions, deformable convolution and suppression agree with torch and ONNX Runtime.

Images of 21 channels are in blocks, whose last one is not full. All are compiled once, and run between guard pages.
"""

import functools

import numpy as np
import pytest
import torch
from torch.nn import functional

from ovenbird.operators.vision.deformable import DeformableColumns
from ovenbird.operators.vision.grid_sample import GridSample
from ovenbird.operators.vision.keypoints import FindKeypoints
from ovenbird.operators.vision.roi_align import RoiAlign
from ovenbird.operators.vision.roi_pool import RoiPool
from ovenbird.operators.vision.suppression import Suppression
from ovenbird.regions import find_keypoints
from support.one_node import run_node
from support.own_kernels import Call, run_operators

pytest.importorskip("onnxruntime")
TORCH_MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def regions(wild: bool = False) -> np.ndarray:
    """Regions within, across and outside an image of 15 x 13 at half its size; empty ones; halves of pixels."""
    found = np.random.default_rng(0).random((9, 5)).astype(np.float32) * 30 - 4
    found[:, 3:] = found[:, 1:3] + np.abs(found[:, 3:]) / 2
    found[:, 0] = np.arange(9) % 2
    found[0, 1:], found[1, 1:], found[2, 1:] = 0, 5, (-50, -50, 100, 100)
    if wild:
        found[3:, 1:] = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 9], np.float32)[:, None]
        found[3:, 0] = (np.nan, 7, -7, np.inf, 0, 1)
        found[8, 3:] = (2, 3)
    return found


def grids() -> dict[str, Call]:
    """Modes, paddings and corners, in two and three dimensions."""
    calls = {}
    for index, (mode, padding, aligned, axes) in enumerate(
        [
            ("linear", "zeros", False, 2), ("linear", "border", True, 2), ("linear", "reflection", False, 2),
            ("nearest", "zeros", True, 2), ("nearest", "reflection", True, 2), ("nearest", "border", False, 2),
            ("cubic", "zeros", False, 2), ("cubic", "border", False, 2), ("cubic", "reflection", True, 2),
            ("linear", "zeros", False, 3), ("linear", "reflection", True, 3), ("nearest", "border", False, 3),
        ]
    ):  # fmt: skip
        size, output = ((9, 11), (5, 7)) if axes == 2 else ((3, 9, 11), (2, 5, 7))
        grid = (np.random.default_rng(index).random((2, *output, axes)) * 3.2 - 1.6).astype(np.float32)
        grid.reshape(-1)[:4] = (1, -1, 0, 25.3)
        calls[f"{mode} {padding} {aligned} {axes}"] = Call(
            GridSample(mode, padding, aligned), (image(2, 21, *size), grid)
        )
    return calls


def wild_grids() -> dict[str, Call]:
    """Places that are no numbers."""
    grid = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0], np.float32).repeat(2).reshape(1, 2, 3, 2)
    return {
        f"wild {padding} {mode}": Call(GridSample(mode, padding, False), (image(1, 5, 4, 3), grid))
        for padding, mode in (("zeros", "cubic"), ("border", "linear"), ("reflection", "nearest"))
    }


ALIGNS = [(0, True, "avg"), (2, True, "avg"), (0, False, "avg"), (3, False, "avg"), (2, True, "max"), (0, False, "max")]


def pools() -> dict[str, Call]:
    """Regions, with every way of sampling."""
    inputs = (image(2, 21, 15, 13), regions())
    calls = {
        f"align {samples} {aligned} {mode}": Call(RoiAlign((5, 4), 0.5, samples, aligned, mode), inputs)
        for samples, aligned, mode in ALIGNS
    }
    calls["pool"] = Call(RoiPool((5, 4), 0.5), inputs)
    calls["wild align"] = Call(RoiAlign((2, 2), 0.5, 2, True), (inputs[0], regions(wild=True)))
    calls["wild pool"] = Call(RoiPool((2, 2), 0.5), (inputs[0], regions(wild=True)))
    return calls


def deformables() -> dict[str, Call]:
    """Groups of offsets that fill vectors, and those that do not; with a mask and without."""
    calls = {}
    for groups, channels, masked in ((1, 21, True), (3, 21, False), (2, 32, True)):
        random = np.random.default_rng(channels)
        offsets = random.standard_normal((2, 2 * groups * 6, 5, 11)).astype(np.float32) * 3
        offsets.flat[:4] = (np.nan, np.inf, 1e30, -1e30)
        offsets[0, :, 0, :4] = np.where(np.isfinite(offsets[0, :, 0, :4]), offsets[0, :, 0, :4], 99)
        mask = (random.random((2, groups * 6, 5, 11)).astype(np.float32),) if masked else ()
        operator = DeformableColumns((3, 2), (2, 1), (1, 1), (1, 2), groups)
        calls[f"deform {groups} {channels}"] = Call(operator, (image(2, channels, 9, 11), offsets, *mask))
    return calls


def suppressions() -> dict[str, Call]:
    """Boxes by corners and by centres, with and without a threshold of scores; equal scores, empty boxes, NaN."""
    calls = {}
    random = np.random.default_rng(5)
    for corners, least, most in ((True, None, 5), (False, 0.3, 1000), (True, 0.3, 1000)):
        boxes = random.random((2, 50, 4)).astype(np.float32)
        boxes[0, 0] = 0
        scores = random.integers(0, 10, (2, 3, 50)).astype(np.float32) / 10
        order = np.argsort(-scores, axis=2, kind="stable")
        threshold = None if least is None else float(np.float32(least))
        operator = Suppression(float(np.float32(0.4)), threshold, most, 300, corners)
        calls[f"suppress {corners} {least} {most}"] = Call(operator, (boxes, scores, order))
    boxes = np.full((1, 4, 4), np.nan, np.float32)
    order = np.array([[[3, -9, 2**40, 1]]])
    calls["wild suppress"] = Call(Suppression(0.5, None, 9, 2, True), (boxes, boxes[:, :1, :], order))
    return calls


def keypoints() -> dict[str, Call]:
    """Regions smaller and larger than their maps, thin ones, of none, beyond the limit; and no numbers."""
    corners = [(3, 4, 60.5, 30), (0, 0, 7.3, 5), (2, 2, 2, 2), (1, 0, 1.5, 40), (0, 5, 90, 99), (9, 9, 3, 3)]
    maps = image(6, 3, 14, 14)
    wild = np.full((6, 4), 1e30, np.float32)
    wild[:4, 2:] = np.array([np.nan, np.inf, -np.inf, 0], np.float32)[:, None]
    return {
        "keypoints": Call(FindKeypoints(64), (maps, np.array(corners, np.float32))),
        "wild keypoints": Call(FindKeypoints(64), (np.full_like(maps, np.nan), wild)),
    }


@functools.cache
def outputs() -> dict[str, tuple[Call, list[np.ndarray]]]:
    """All of them, compiled together."""
    calls = {**grids(), **wild_grids(), **pools(), **deformables(), **suppressions(), **keypoints()}
    found = run_operators(list(calls.values()))
    return {name: (call, arrays) for (name, call), arrays in zip(calls.items(), found, strict=True)}


def test_grid_sample() -> None:
    for name in grids():
        call, (result,) = outputs()[name]
        operator = call.operator
        assert isinstance(operator, GridSample)
        tensors = map(torch.from_numpy, call.inputs)
        right = functional.grid_sample(*tensors, TORCH_MODES[operator.mode], operator.padding, operator.aligned)
        np.testing.assert_allclose(result, right, atol=2e-5, err_msg=name)


def test_regions_by_sampling() -> None:
    for samples, aligned, mode in ALIGNS:
        call, (result,) = outputs()[f"align {samples} {aligned} {mode}"]
        picture, boxes = call.inputs
        (right,) = run_node(
            "RoiAlign",
            [picture, boxes[:, 1:].copy(), boxes[:, 0].astype(np.int64)],
            output_height=5,
            output_width=4,
            spatial_scale=0.5,
            sampling_ratio=samples,
            mode=mode,
            coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        )
        np.testing.assert_allclose(result, right, atol=1e-5, err_msg=f"{samples} {aligned} {mode}")


def test_regions_of_whole_pixels() -> None:
    call, (result,) = outputs()["pool"]
    (right,) = run_node("MaxRoiPool", list(call.inputs), pooled_shape=[5, 4], spatial_scale=0.5)
    np.testing.assert_array_equal(result, right)


def test_numbers_that_are_no_places_stay_inside() -> None:
    for name in (*wild_grids(), "wild align", "wild pool", "wild keypoints"):
        _, (result,) = outputs()[name]
        assert result.size  # between guard pages: to have ended is what is asked
    _, (chosen, count) = outputs()["wild suppress"]
    assert count[0] <= 2
    assert chosen.max() < 4


def test_deformable_convolution() -> None:
    for name in deformables():
        call, (columns,) = outputs()[name]
        picture, offsets, *mask = call.inputs
        groups, channels = int(name.split()[1]), picture.shape[1]
        weight = np.random.default_rng(1).standard_normal((8, channels, 3, 2)).astype(np.float32)
        (right,) = run_node(
            "DeformConv",
            [picture, weight, offsets, np.zeros(8, np.float32), *mask],
            kernel_shape=[3, 2],
            strides=[2, 1],
            pads=[1, 1, 1, 1],
            dilations=[1, 2],
            offset_group=groups,
        )
        product = columns @ weight.transpose(2, 3, 1, 0).reshape(-1, 8)
        result = product.reshape(2, 5, 11, 8).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(result, right, atol=1e-4, err_msg=name)


def test_suppression() -> None:
    for name in suppressions():
        if name == "wild suppress":
            continue
        call, (chosen, count) = outputs()[name]
        operator = call.operator
        assert isinstance(operator, Suppression)
        boxes, scores, _ = call.inputs
        least = [] if operator.least_score is None else [np.array([operator.least_score], np.float32)]
        settings = [np.array([operator.most]), np.array([operator.overlap], np.float32), *least]
        (right,) = run_node("NonMaxSuppression", [boxes, scores, *settings], center_point_box=int(not operator.corners))
        assert count[0] == len(right)
        np.testing.assert_array_equal(chosen[: len(right)], right, name)
        assert (chosen[len(right) :] == -1).all()


def test_keypoints() -> None:
    call, (result,) = outputs()["keypoints"]
    right = find_keypoints(*map(torch.from_numpy, call.inputs), 64)
    np.testing.assert_allclose(result, right, atol=1e-4)
