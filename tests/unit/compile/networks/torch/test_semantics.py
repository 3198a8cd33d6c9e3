"""torch's own meaning of its operators, kept through import and compilation: many at once, compared with torch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ovenbird.targets import load_target
from support.codegen import Case, Outputs, run_together

Call = Callable[..., torch.Tensor | tuple[torch.Tensor, ...]]


class Calls(nn.Module):
    """Calls of operators on the same inputs."""

    def __init__(self, calls: Sequence[Call]) -> None:
        super().__init__()
        self.calls = list(calls)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found: list[torch.Tensor] = []
        for call in self.calls:
            result = call(*inputs)
            found += [result] if isinstance(result, torch.Tensor) else result
        return tuple(found)


ARITHMETIC: list[Call] = [
    lambda x, k: x + (torch.arange(x.shape[1]) + 0.5),
    lambda x, k: k // 4,
    lambda x, k: torch.div(k, 3, rounding_mode="trunc"),
    lambda x, k: torch.div(k, -k.abs() - 1, rounding_mode="floor"),
    lambda x, k: torch.div(x, k.clamp(1), rounding_mode="floor"),
    lambda x, k: torch.floor_divide(x, 0.1),
    lambda x, k: k / 4,
    lambda x, k: k % -3,
    lambda x, k: torch.fmod(k, 3),
    lambda x, k: x % 0.7,
    lambda x, k: k**2,
    lambda x, k: x.pow(-2),
    lambda x, k: 2 ** k.float(),
    lambda x, k: k.int() + k,
    lambda x, k: k.to(torch.uint8) + 250,
    lambda x, k: (x * 200).to(torch.uint8),
    lambda x, k: (x * 200).to(torch.int8),
    lambda x, k: (x > 0) + (k > 2),
    lambda x, k: (x > 0) * x,
    lambda x, k: torch.where(x > 0, 1.5, k),
    lambda x, k: k.clamp(0.5, 7),
    lambda x, k: k.clamp(k - 1, k.flip(0)),
    lambda x, k: torch.full_like(k, 3.7),
    lambda x, k: k == k.float(),
    lambda x, k: (x > 0) == (k > 2),
    lambda x, k: k > 0.5,
    lambda x, k: k.exp(),
    lambda x, k: k.abs().sqrt(),
    lambda x, k: k.abs() >> 1,
    lambda x, k: ~(k > 1),
    lambda x, k: (k > 3).sum(1),
    lambda x, k: k.sum(1, dtype=torch.int32),
    lambda x, k: tuple(k.min(1)),
    lambda x, k: x.std(1, correction=0),
    lambda x, k: x.var(0),
    lambda x, k: (k > 3).any(1),
    lambda x, k: (k > -9).all(),
    lambda x, k: F.celu(x, 0.5),
    lambda x, k: k @ k.T,
    lambda x, k: x.new_tensor([1.5]) * k,
    lambda x, k: x / 0,
    lambda x, k: x / -0.0,
    lambda x, k: 7 % (k.abs() + 1),
    lambda x, k: k ** k.abs(),
    lambda x, k: torch.fmax(x, torch.where(k > 2, float("nan"), x.flip(0))),
    lambda x, k: torch.copysign(x, x.flip(0)),
    lambda x, k: (2.0**k).log2().floor(),
    lambda x, k: (x * 1e-4).expm1() * 1e4,
    lambda x, k: x.sinh() + x.cosh(),
    lambda x, k: torch.hypot(x, x.T),
    lambda x, k: F.selu(x),
    lambda x, k: F.elu(x, 0.5),
    lambda x, k: F.rrelu(x, 0.1, 0.5),
    lambda x, k: torch.linalg.det(x[:4, :4]) + torch.stack([x[:3, :3], x[3:, 3:]]).det() + x[:1, :1].det(),
    lambda x, k: F.rrelu(x + 0, inplace=True),
    lambda x, k: torch.clamp_max(x > 0, k > 2),
    lambda x, k: (x > 0).amax(1),
    lambda x, k: k.isnan() | (x > 0).isinf(),
    lambda x, k: -k.to(torch.uint8),
    lambda x, k: torch.stack([(x > 0).signbit(), k.signbit(), x.signbit()]),
    lambda x, k: x.masked_fill(k > 0, float("-inf")),
    lambda x, k: torch.full_like(x, float("inf")) * x.sign(),
    lambda x, k: tuple(x.median(1)),
    lambda x, k: torch.where(k == 3, float("nan"), x).median(0).values,
    lambda x, k: x.kthvalue(2, 0).values,
    lambda x, k: tuple(x.cummax(1)),
    lambda x, k: x.logcumsumexp(1),
    lambda x, k: tuple((k > 2).cummax(0)),
    lambda x, k: odd(torch.where(k > 2, float("nan"), x)),
    lambda x, k: torch.searchsorted(x.sort(1).values, x.T.contiguous(), right=True),
    lambda x, k: x.sum().softmax(0) + x.sum().argmax(),
    lambda x, k: x.max().sort().values,
    lambda x, k: x * k.max().item(),
    lambda x, k: x[k.abs().min()],
    lambda x, k: torch.std_mean(x, 1)[1],
    lambda x, k: torch.addbmm(k, k[None], k[None], beta=2),
    lambda x, k: torch.addmm(x, x[:, :0], x[:0], beta=2),
    lambda x, k: F.bilinear(*(k.to(torch.uint8) for k in (k[0], k[1], k.expand(2, 6, 6)))),
]


SPECIAL: list[Call] = [
    lambda x, y: x * 0,
    lambda x, y: x * torch.tensor(0.0) + F.relu(x) * False,
    lambda x, y: 0 / x,
    lambda x, y: x - x,
    lambda x, y: x / x,
    lambda x, y: torch.add(x, y, alpha=0),
    lambda x, y: torch.lerp(x, y, 0.0),
    lambda x, y: x + 1e30 - 1e30,
    lambda x, y: torch.stack([x != y, x == y, ~(x < y), ~(x <= y), ~(x == y), (x < y) | (y <= x), x == x, x != x]),
    lambda x, y: torch.isclose(x, x),
    lambda x, y: (x * 0).count_nonzero(),
    lambda x, y: torch.where(x > 0, x, 0 * y),
    lambda x, y: x.clamp(min=float("nan")),
    lambda x, y: torch.stack([x.clamp(-1, 1), x.clamp(min=0), x.clamp(max=6), x.clamp(y, x)]),
    lambda x, y: torch.stack([F.softshrink(x), F.hardshrink(x), F.threshold(x, 0.1, 2), F.prelu(x, torch.tensor(0.2))]),
    lambda x, y: torch.stack([F.relu6(x), F.hardswish(x), F.hardsigmoid(x), F.softplus(x), F.silu(x), F.mish(x)]),
    lambda x, y: torch.stack([F.elu(x), F.selu(x), F.logsigmoid(x), F.softsign(x), F.tanhshrink(x), x.logit()]),
    lambda x, y: torch.stack([x.log1p(), x.expm1(), x.sign(), x.nan_to_num(), torch.fmax(x, y), torch.maximum(x, y)]),
    lambda x, y: torch.stack([rows(x).softmax(1), rows(x).log_softmax(1), torch.full((4, 4), -torch.inf).softmax(1)]),
    lambda x, y: torch.stack([rows(x).logsumexp(1), rows(x).amax(1), rows(x).argmax(1), rows(x).sort(1)[0][:, 0]]),
    lambda x, y: F.max_pool2d(rows(x)[None], 3, 1, 1),
]


def rows(x: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.eye(4) > 0, x[:4, None], x.new_full((4, 4), -torch.inf))


def odd(x: torch.Tensor) -> torch.Tensor:
    return x != x


def poolings() -> list[Call]:
    def unpooled(x: torch.Tensor) -> torch.Tensor:
        return F.max_unpool2d(*F.max_pool2d(x, 2, 2, return_indices=True), 2, 2, output_size=x.shape[2:])

    return [
        lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=5),
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        lambda x: F.avg_pool2d(x, (2, 3), (2, 1), 1, count_include_pad=False),
        lambda x: F.avg_pool1d(x[:, :, 0], 3, 2, ceil_mode=True),
        lambda x: F.avg_pool3d(x[:, :, None], (1, 3, 3), 2, ceil_mode=True),
        lambda x: tuple(F.max_pool2d(x, 3, 2, 1, ceil_mode=True, return_indices=True)),
        lambda x: tuple(F.max_pool2d(x, (2, 3), 1, (0, 1), (3, 1), return_indices=True)),
        lambda x: F.max_pool2d(x[0], 3, 2, dilation=2),
        unpooled,
        lambda x: F.adaptive_avg_pool2d(x, (5, 3)),
        lambda x: F.adaptive_avg_pool2d(x, (20, 20)),
        lambda x: F.adaptive_avg_pool1d(x[:, :, 0], 4),
        lambda x: F.adaptive_max_pool2d(x, (5, 3)),
        lambda x: tuple(F.adaptive_max_pool2d(x, (4, 5), return_indices=True)),
        lambda x: F.batch_norm(x, grid(3), grid(3).abs(), training=True),
        lambda x: F.instance_norm(x, grid(3), grid(3).abs(), use_input_stats=True),
        lambda x: F.normalize(x, 3),
        lambda x: torch.linalg.vector_norm(x, float("-inf"), (1, 3)),
        lambda x: F.conv_transpose3d(x[:, :, None, :5, :4], grid(3, 2, 2, 3, 2), stride=(1, 2, 3), padding=(0, 1, 0)),
        lambda x: F.conv_transpose2d(x, grid(3, 2, 3, 3), output_padding=1, dilation=2),
    ]


def resizes() -> list[Call]:
    def resized(**options: object) -> Call:
        return lambda x: F.interpolate(x, **options)  # type: ignore[arg-type]

    return [
        *(
            resized(size=(9, 17), mode=mode, align_corners=aligned, antialias=antialias)
            for mode in ("bilinear", "bicubic")
            for aligned in (False, True)
            for antialias in (False, True)
        ),
        resized(scale_factor=1.3, mode="bicubic"),
        resized(scale_factor=1.3, mode="bilinear"),
        resized(scale_factor=1.5, mode="nearest-exact"),
        resized(scale_factor=1.3, mode="nearest"),
        resized(size=(13, 46), mode="nearest"),  # 23 * (14 / 46) is below 7 in float32, where image.resize2d takes 7
        lambda x: F.interpolate(x[:, :, :2, :2], size=(82, 2)),
        resized(size=(1, 1), mode="bilinear", align_corners=True),
        resized(size=(5, 7), mode="area"),
        lambda x: F.interpolate(x[:, :, 0], size=9, mode="linear"),
        lambda x: F.interpolate(x[:, :, None, :6, :6], size=(2, 5, 7), mode="trilinear"),
        lambda x: F.interpolate(x[:, :, None], scale_factor=2, mode="nearest"),
        lambda x: F.fold(F.unfold(x, 3, 1, 1, 2), (13, 14), 3, padding=1, stride=2),
        lambda x: torch.cdist(x[:, 0], x[:, 1]),
        lambda x: torch.cdist(x[:, 0], x[:, 1], p=1),
        lambda x: F.affine_grid(x[:, 0, :2, :3], [2, 1, 4, 5], align_corners=True),
        lambda x: F.affine_grid(x[:, 0, :2, :3], [2, 1, 1, 5], align_corners=False),
        lambda x: torch.affine_grid_generator(x[:, 0, :3, :4], [2, 1, 3, 1, 2], True),
    ]


def indexings() -> list[Call]:
    rows, columns = torch.tensor([1, -2, 4]), torch.tensor([0, -1, 3])
    return [
        lambda x, k: x[:, rows, columns],
        lambda x, k: x[rows[:1], :, columns[:1]],
        lambda x, k: x[:, k],
        lambda x, k: x[:, k[:, None], k[None]],
        lambda x, k: x[0, k[:1]],
        lambda x, k: written(x, (slice(None), rows, columns), x[:, :3, 0]),
        lambda x, k: written(x, (k[:2], slice(None), torch.tensor([0, 1])), x[0, :2, :1].flatten()[:1]),
        lambda x, k: torch.index_put(x, (k, torch.tensor([0, 0, 1]) + k[:1] * 0), x[0, 0], accumulate=True),
        lambda x, k: torch.index_put(x, (x > 0,), torch.tensor(-1.0)),
        lambda x, k: written(x, (slice(2, 2),), 1.0),
        lambda x, k: written(x > 0, (slice(None), slice(1, 3)), k[:2, None, None] > 0),
        lambda x, k: F.pad(x > 0, (1, 2, 1, 1), mode="circular"),
        lambda x, k: x.permute(0, -2, -1, 1),
        lambda x, k: x.as_strided((2, 3, 4), (90, 3, 2), 1),
        lambda x, k: x.transpose(1, 2)[:, 1:].as_strided((2, 3), (5, 2)),
        lambda x, k: x.unfold(1, 4, 2).unfold(2, 3, 1),
        lambda x, k: x.diagonal_scatter(x[:, :, :3, 0], dim1=2, dim2=3),
        lambda x, k: x.put(k, x[0, 0, 0], accumulate=True),
        lambda x, k: x.take(k),
        lambda x, k: x.masked_scatter(x > 0, x.flip(0)),
        lambda x, k: x.index_select(1, k[0]),
        lambda x, k: F.embedding(k.abs(), x[0, 0]),
        lambda x, k: F.embedding(k.abs().int().reshape(1, 3, 1), x[1, 0], padding_idx=1),
        lambda x, k: torch.cat([x[:, :0], x, x.new_zeros(0)], 1),
        # masks that no input changes take a fixed number
        lambda x, k: x[:, torch.tensor([True, False, True, True, False, False])],
        lambda x, k: x[:, :, torch.ones(5, 3).triu().bool()],
        lambda x, k: x[:, [True, False, False, True, False, False], 1:],
        lambda x, k: x.masked_select(torch.arange(3) != 1),
        lambda x, k: x[:, (torch.arange(6) % 4 == 1).nonzero().squeeze(1)],
        lambda x, k: x[:, torch.where(torch.eye(6)[2] > 0)[0]],
        lambda x, k: written(x, (slice(None), torch.arange(6) > 3), x[:, :2] * 2),
        lambda x, k: torch.combinations(k, 2),
        lambda x, k: x[:, :0].sum(1),
        lambda x, k: x.split([2, 0, 3, 1], 1)[0::2],
        lambda x, k: x[0, :, :, :0] @ x[1, :, :, :0].mT,
    ]


def written(x: torch.Tensor, where: Any, values: torch.Tensor) -> torch.Tensor:
    changed = x.clone()
    changed[where] = values
    return changed


def grid(*shape: int) -> torch.Tensor:
    return (torch.arange(float(torch.Size(shape).numel())) % 7 - 3).reshape(shape)


def image(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def numbers() -> torch.Tensor:
    """What is no number, and what is beyond all, among others."""
    return torch.tensor([torch.nan, torch.inf, -torch.inf, 0, -0.0, 1, -1, 100, -100, 0.5, -0.5, 6, -3, 88])


CALLS: dict[str, tuple[list[Call], tuple[torch.Tensor, ...]]] = {
    "special": (SPECIAL, (numbers(), numbers().flip(0))),
    "arithmetic": (ARITHMETIC, (image(6, 6), torch.arange(36).reshape(6, 6) % 19 - 9)),
    "poolings": (poolings(), (image(2, 3, 13, 14),)),
    "resizes": (resizes(), (image(2, 3, 13, 14),)),
}
FEW = 3
"""Of so many calls, one runs without the slow ones."""


def part(calls: Sequence[Call], few: bool) -> Calls:
    return Calls([call for index, call in enumerate(calls) if (index % FEW == 0) == few])


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["few", "the rest"])
@pytest.mark.parametrize("name", CALLS)
def test_everything_is_what_torch_says(name: str, few: bool) -> None:
    calls, inputs = CALLS[name]
    case = Case(part(calls, few), inputs)
    (found,) = run_together([case], load_target("host"))
    check(found, case)


def test_indices_are_what_torch_says() -> None:
    """All at once: with masks that a run counts among them, all are traced in the way that counts."""
    case = Case(Calls(indexings()), (image(2, 6, 5, 3), torch.tensor([1, -1, 0])))
    (found,) = run_together([case], load_target("host"))
    check(found, case)


def slices(x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[:, 1:3, ::2] *= 2
    x[:, -2:, 1:9:3] = x[:, :2, :3]
    return x.slice_scatter(x[..., :1] + 1, 3, -1)


def test_slices_are_written_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    case = Case(Calls([slices]), (image(2, 6, 11, 5),))
    (found,) = run_together([case], load_target("host"))
    check(found, case)
    assert "Warning" not in capfd.readouterr().err  # TVM's own tells users of indices that may be out of bounds


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.scatter(1, torch.tensor([[[[0]]]]), 1.0),
        lambda x: x.scatter_add(1, torch.tensor([[[[0]]]]), x[:, :1, :1, :1]),
        lambda x: x.index_put((torch.tensor([0, 1]),), x[:2] * 2),
        lambda x: x.index_add(1, torch.tensor([0, 0]), x[:, :2]),
    ],
)
def test_elements_are_written_in_silence(capfd: pytest.CaptureFixture[str], write: Any) -> None:
    case = Case(Calls([write]), (image(2, 6, 11, 5),))
    (found,) = run_together([case], load_target("host"))
    check(found, case)
    assert "pragma" not in capfd.readouterr().err  # LLVM's generator tells users of a word of topi's


class Held(Case):
    """Ids that torch refuses: each stands for the nearest row that there is."""

    def run(self) -> tuple[torch.Tensor, ...]:
        assert isinstance(self.network, nn.Embedding)
        return (self.network(self.inputs[0].clamp(0, self.network.num_embeddings - 1)),)


def test_ids_of_no_row_are_not_cut_to_32_bits() -> None:
    case = Held(nn.Embedding(50, 8), (torch.tensor([5, 2**32 + 5, 2**31, 2**62, 50, 49]),))
    (found,) = run_together([case], load_target("host"))
    with torch.no_grad():
        check(found, case)


def check(found: Outputs, case: Case) -> None:
    for place, (given, right) in enumerate(zip(found, case.run(), strict=True)):
        expected = right.numpy()
        assert (place, given.dtype, given.shape) == (place, expected.dtype, expected.shape)
        np.testing.assert_allclose(given, expected, rtol=2e-5, atol=2e-5, err_msg=f"output {place}")
