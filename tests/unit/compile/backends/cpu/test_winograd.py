"""Winograd convolution: its matrices, its numbers against float64, both of its structures, and when it is chosen."""

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.backends.cpu.algorithms import ConvolutionShape, allows_winograd, choose_algorithm, estimate_cycles
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.winograd import groups_of
from ovenbird.operators.conv2d import Window
from ovenbird.operators.winograd import F4, TRANSFORMS, Transform

AVX512 = Machine(vector_bytes=64, registers=32, l1_bytes=48 << 10, l2_bytes=1 << 20, cores=2)


@pytest.mark.parametrize("m", [2, 4])
def test_the_matrices_compute_a_correlation(m):
    transform = TRANSFORMS[m]
    random = np.random.default_rng(0)
    data, kernel = random.standard_normal(m + 2), random.standard_normal(3)
    at, g, bt = (np.array(matrix) for matrix in (transform.result, transform.kernel, transform.data))
    expected = [data[i : i + 3] @ kernel for i in range(m)]
    assert np.allclose(at @ ((g @ kernel) * (bt @ data)), expected, atol=1e-12)


def test_the_points_of_four_outputs_round_half_as_much_as_whole_numbers_do():
    def rounding(transform):
        """Return the root mean square of float32's errors, in units of the right answers' own."""
        random = np.random.default_rng(0)
        data = np.maximum(random.standard_normal((64, 100, 6, 6)), 0).astype(np.float32)
        kernel = random.standard_normal((64, 3, 3))
        a, g, b = (np.array(matrix) for matrix in (transform.result, transform.kernel, transform.data))
        points = np.einsum("xr,crs,ys->cxy", g, kernel, g)

        def answers(dtype):
            rows = np.einsum("xr,ctrs->ctxs", b.astype(dtype), data.astype(dtype))
            tiles = np.einsum("ys,ctxs->ctxy", b.astype(dtype), rows)
            sums = np.einsum("ctxy,cxy->txy", tiles, points.astype(dtype))
            return np.einsum("jy,tiy->tij", a.astype(dtype), np.einsum("ix,txy->tiy", a.astype(dtype), sums))

        right = answers(np.float64)
        return np.sqrt(np.square(answers(np.float32) - right).mean() / np.square(right).mean())

    usual = Transform(
        4,
        data=(
            (4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0), (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1),
        ),
        kernel=(
            (1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6), (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6), (0, 0, 1),
        ),
        result=((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    )  # fmt: skip
    assert rounding(F4) < 0.6 * rounding(usual)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@pytest.mark.parametrize(("channels", "size", "padding"), [(32, (14, 14), 1), (48, (9, 23), 1), (64, (7, 5), 0)])
@pytest.mark.parametrize("batch", [1, 3])
def test_agrees_with_torch(check, monkeypatch, algorithm, channels, size, padding, batch):
    monkeypatch.setattr("ovenbird.backends.cpu.lowering.conv2d.choose_algorithm", lambda *_: algorithm)
    network = nn.Sequential(nn.Conv2d(channels, 32, 3, padding=padding), nn.ReLU())
    check(network, torch.randn(batch, channels, *size))


@pytest.mark.parametrize(("dilation", "size"), [(2, (14, 14)), (3, (13, 17)), (5, (10, 31)), (9, (14, 16))])
def test_a_window_with_gaps_is_one_without_on_each_grid(check, monkeypatch, dilation, size):
    asked = []

    def choose(shape, *_):
        asked.append((shape.batch, shape.height, shape.width))
        return "winograd4"

    monkeypatch.setattr("ovenbird.backends.cpu.lowering.conv2d.choose_algorithm", choose)
    layer = nn.Conv2d(32, 48, 3, padding=dilation, dilation=dilation)
    check(nn.Sequential(layer, nn.ReLU()), torch.randn(2, 32, *size))
    assert set(asked) == {(2 * dilation**2, *(-(-side // dilation) for side in size))}


@pytest.mark.parametrize("structure", ["chunked", "staged"])
def test_both_structures_agree_with_torch(check, monkeypatch, structure):
    monkeypatch.setattr("ovenbird.backends.cpu.lowering.conv2d.choose_algorithm", lambda *_: "winograd4")
    monkeypatch.setattr("ovenbird.backends.cpu.schedules.winograd.default_structure", lambda *_: structure)

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.norm(self.convolution(image)) + image)

    check(Residual(), torch.randn(2, 32, 13, 13))


def test_parts_of_several_tiles_agree_with_torch(check, monkeypatch):
    monkeypatch.setattr("ovenbird.backends.cpu.lowering.conv2d.choose_algorithm", lambda *_: "winograd4")
    monkeypatch.setattr("ovenbird.backends.cpu.schedules.winograd.default_structure", lambda *_: "staged")
    monkeypatch.setattr("ovenbird.backends.cpu.schedules.winograd.CACHED_DATA", 0)
    check(nn.Sequential(nn.Conv2d(32, 256, 3, padding=1), nn.ReLU()), torch.randn(2, 32, 13, 13))


def test_parts_grow_where_data_do_not_stay_in_cache():
    zen3 = Machine(vector_bytes=32, registers=16, l1_bytes=32 << 10, l2_bytes=512 << 10, cores=2)
    assert groups_of(16, data_bytes=7 << 20, product_bytes=450 << 10, machine=zen3) == 8
    assert groups_of(16, data_bytes=7 << 20, product_bytes=3 << 20, machine=zen3) == 2  # bounded memory
    assert groups_of(16, data_bytes=7 << 20, product_bytes=30 << 20, machine=zen3) == 1
    assert groups_of(16, data_bytes=1 << 20, product_bytes=64 << 10, machine=zen3) == 1
    assert groups_of(15, data_bytes=7 << 20, product_bytes=450 << 10, machine=zen3) == 1  # cores would not share alike


def test_chosen_where_it_pays_and_only_there():
    assert choose_algorithm(ConvolutionShape(1, 64, 64, 56, 56), AVX512) == "winograd4"
    assert choose_algorithm(ConvolutionShape(1, 256, 256, 14, 14), AVX512) == "winograd4"
    # Few positions and many channels: 36 points of transformed weights would have to come from memory.
    assert choose_algorithm(ConvolutionShape(1, 512, 512, 7, 7), AVX512) != "winograd4"
    assert choose_algorithm(ConvolutionShape(1, 3, 64, 224, 224), AVX512) == "direct"


def test_a_measured_choice_comes_first():
    shape = ConvolutionShape(1, 64, 64, 56, 56)
    assert choose_algorithm(shape, AVX512, {shape.key: "direct"}) == "direct"


def test_estimates_grow_with_the_work():
    small, large = ConvolutionShape(1, 64, 64, 28, 28), ConvolutionShape(1, 64, 64, 56, 56)
    for algorithm in ("direct", "winograd2", "winograd4"):
        assert estimate_cycles(large, algorithm, AVX512) > estimate_cycles(small, algorithm, AVX512)


@pytest.mark.parametrize(
    ("window", "groups", "allowed"),
    [
        (Window((3, 3), (1, 1), (1, 1, 1, 1)), 1, True),
        (Window((3, 3), (2, 2), (1, 1, 1, 1)), 1, False),
        (Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2)), 1, False),
        (Window((5, 5), (1, 1), (2, 2, 2, 2)), 1, False),
        (Window((3, 3), (1, 1), (1, 1, 1, 1)), 2, False),
    ],
)
def test_only_dense_3x3_of_stride_1(window, groups, allowed):
    assert allows_winograd(window, groups) is allowed


@pytest.mark.parametrize(("m", "limit"), [(2, 2e-6), (4, 2e-5)])
def test_error_against_float64(m, limit):
    """The error of the algorithm itself, in float32, relative to the output's largest value."""
    random = np.random.default_rng(0)
    transform = TRANSFORMS[m]
    at, g, bt = (np.array(matrix, np.float32) for matrix in (transform.result, transform.kernel, transform.data))
    channels = 256
    data = random.standard_normal((channels, m + 2, m + 2)).astype(np.float32)
    kernel = (random.standard_normal((channels, 3, 3)) / np.sqrt(9 * channels)).astype(np.float32)
    points = np.einsum("xr,crs,ys->cxy", g, kernel, g) * np.einsum("xr,crs,ys->cxy", bt, data, bt)
    result = at @ points.sum(0) @ at.T
    exact = sum(
        data[:, i : i + m, j : j + m].astype(np.float64) * kernel[:, i, j, None, None].astype(np.float64)
        for i in range(3)
        for j in range(3)
    ).sum(0)
    assert np.abs(result - exact).max() <= limit * max(1.0, np.abs(exact).max())
