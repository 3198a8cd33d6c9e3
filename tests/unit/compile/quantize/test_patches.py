"""Rows that a layer multiplies, times its weights, are what it gives."""

from __future__ import annotations

import numpy as np
import torch
from tvm import relax

from ovenbird.quantize.rounding.patches import MAX_ROW, ROWS, Patches
from ovenbird.quantize.rounding.weights import rows_of

GEOMETRIES = (
    {"strides": 1, "padding": (1, 2, 0, 1), "dilation": 1, "groups": 1},
    {"strides": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2},
    {"strides": 2, "padding": 0, "dilation": 1, "groups": 4},
)


def tensor(name: str, *shape: int) -> relax.Var:
    return relax.Var(name, relax.TensorType(shape, "float32"))


def test_rows_of_an_image_times_the_weights_are_a_convolution() -> None:
    random = np.random.default_rng(3)
    for geometry in GEOMETRIES:
        groups = geometry["groups"]
        image = random.normal(size=(1, 4, 9, 7)).astype(np.float16).astype(np.float32)
        weight = random.normal(size=(8, 4 // groups, 3, 2)).astype(np.float32)
        call = relax.op.nn.conv2d(tensor("x", *image.shape), tensor("w", *weight.shape), **geometry)
        patches = Patches(call, pictures=1)
        patches.add(image)
        rows = patches.rows()
        assert rows is not None
        found = rows @ rows_of(weight, 0, groups).swapaxes(1, 2)  # [groups, places, outputs of one]
        top, left, bottom, right = (int(one) for one in call.attrs.padding)
        padded = torch.nn.functional.pad(torch.from_numpy(image), (left, right, top, bottom))
        attributes = [[int(one) for one in field] for field in (call.attrs.strides, call.attrs.dilation)]
        right_answer = torch.nn.functional.conv2d(
            padded, torch.from_numpy(weight), None, attributes[0], 0, attributes[1], groups
        )
        expected = right_answer.numpy().reshape(groups, 8 // groups, -1).swapaxes(1, 2)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_many_rows_are_drawn_and_huge_ones_are_not_kept() -> None:
    rows = np.arange(100 * 6, dtype=np.float32).reshape(1, 100, 6)
    patches = Patches(relax.op.matmul(tensor("x", 1, 100, 6), tensor("w", 6, 4)), pictures=ROWS // 10)
    for _ in range(3):
        patches.add(rows)
    kept = patches.rows()
    assert kept is not None
    assert kept.shape == (1, 33, 6)
    assert set(kept[0, :, 0]) <= set(rows[0, :, 0])
    wide = Patches(relax.op.matmul(tensor("x", 1, MAX_ROW + 1), tensor("w", MAX_ROW + 1, 4)), pictures=64)
    wide.add(np.zeros((1, MAX_ROW + 1), np.float32))
    assert wide.rows() is None
