"""A 1x1 convolution and the depthwise one behind it are one kernel, where that is better, and agree with torch."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import tvm
from torch import nn
from tvm import tirx

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.schedules.expansion import tile_of
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported

WIDE = 96
MACHINE = Machine(32, 16, 32 << 10, 512 << 10, cores=2)


class Bottleneck(nn.Module):
    """An inverted bottleneck: a few channels to many, a window over each of them, and back."""

    def __init__(
        self,
        kernel: int = 3,
        stride: int = 1,
        activation: type[nn.Module] = nn.ReLU6,
        padding: int | None = None,
        dilation: int = 1,
        channels: tuple[int, int] = (16, WIDE),
        before: nn.Module | None = None,
    ) -> None:
        super().__init__()
        few, many = channels
        around = kernel // 2 * dilation if padding is None else padding
        options = {"stride": stride, "padding": around, "dilation": dilation, "groups": many, "bias": False}
        self.before, self.act = before or nn.Identity(), activation()
        self.expand, self.norm = nn.Conv2d(few, many, 1, bias=False), nn.BatchNorm2d(many)
        self.window, self.project = nn.Conv2d(many, many, kernel, **options), nn.Conv2d(many, few, 1)
        self.norm.running_mean.normal_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.act(self.norm(self.expand(x)))
        return self.project(self.act(self.window(self.before(wide))))


class ReadTwice(Bottleneck):
    """A wide image that something else reads, too."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wide = self.act(self.expand(x))
        return self.project(self.act(self.window(wide))), wide.mean((2, 3))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (20, 20)),
        ({"kernel": 5, "activation": nn.Hardswish}, (21, 19)),
        ({"stride": 2, "activation": nn.SiLU}, (33, 7)),
        ({"stride": 2}, (16, 16)),
        ({"kernel": 5, "stride": 2, "channels": (24, 72)}, (9, 13)),
        ({"channels": (12, 140)}, (3, 5)),
        ({"dilation": 2}, (11, 11)),
        ({"kernel": 4, "stride": 3, "padding": 1}, (13, 12)),
        ({"activation": nn.Identity}, (1, 6)),
        ({"stride": 2}, (2, 2)),
        ({"stride": 2, "kernel": 5}, (2, 3)),
    ],
)
def test_agrees_with_torch(check, options, size) -> None:
    check(Bottleneck(**options), torch.randn(1, options.get("channels", (16,))[0], *size))


def test_agrees_with_torch_for_several_images(check) -> None:
    check(Bottleneck(activation=nn.SiLU), torch.randn(3, 16, 10, 9))


def test_agrees_with_torch_where_the_border_is_of_one_side(check) -> None:
    check(Bottleneck(stride=2, padding=0, before=nn.ZeroPad2d((0, 1, 0, 1))), torch.randn(1, 16, 12, 12))


def kernels(network: nn.Module, size: tuple[int, int] = (20, 20), machine: Machine = MACHINE) -> list[list[str]]:
    """Return the blocks of each kernel that a network becomes."""
    image = torch.randn(1, 16, *size)
    module = import_exported(torch.export.export(network.eval(), (image,)))
    lowered = lower_networks({EntryKey("main", 1): module}, machine)
    bodies = [body for _, body in lowered.functions_items() if isinstance(body, tirx.PrimFunc)]
    return [_blocks(body) for body in bodies]


def _blocks(body: tirx.PrimFunc) -> list[str]:
    sch = tvm.s_tir.Schedule(body)
    return [sch.get(block).name_hint for block in sch.get_child_blocks(sch.get_sblock("root"))]


def joined(network: nn.Module, size: tuple[int, int] = (20, 20)) -> bool:
    """Return whether a kernel holds both convolutions."""
    return any({"conv2d", "depthwise_conv2d"} <= set(blocks) for blocks in kernels(network, size))


def test_both_are_one_kernel() -> None:
    assert joined(Bottleneck())


def test_both_are_one_kernel_where_the_first_multiplies_bfloat16() -> None:
    machine = dataclasses.replace(MACHINE, vector_bytes=64, registers=32, bfloat16="bf16")
    found = kernels(Bottleneck(), machine=machine)
    assert any({"conv2d", "depthwise_conv2d", "round"} <= set(blocks) for blocks in found)


def test_a_wide_image_that_others_read_stays() -> None:
    assert not joined(ReadTwice())


def test_windows_without_a_border_stay() -> None:
    assert not joined(Bottleneck(padding=0))


def test_pooling_stays() -> None:
    assert not joined(Bottleneck(before=nn.MaxPool2d(3, 1, 1)))


@pytest.mark.parametrize(("blocks", "cores"), [(12, 1), (12, 2), (34, 2), (36, 6)])
def test_cores_have_as_many_parts(blocks: int, cores: int) -> None:
    tile = tile_of(1, blocks, 40, 40, Machine(32, 16, 32 << 10, 512 << 10, cores))
    assert tile is not None
    assert blocks % tile.vectors == 0
    assert -(-blocks // tile.vectors // cores) * cores <= 1.15 * (blocks // tile.vectors)


@pytest.mark.parametrize(("blocks", "cores"), [(2, 2), (9, 2), (12, 7), (12, 16)])
def test_too_few_parts_stay_apart(blocks: int, cores: int) -> None:
    assert tile_of(1, blocks, 40, 40, Machine(32, 16, 32 << 10, 512 << 10, cores)) is None


def test_blocks_of_several_vectors_fit_the_registers() -> None:
    """As where narrow targets share the packed weights of a wide one."""
    tile = tile_of(1, 12, 40, 40, Machine(16, 16, 32 << 10, 512 << 10, cores=2, block_lanes=16))
    assert tile is None or 4 * tile.vectors * (tile.positions + 1) + 1 <= 16


def test_an_image_that_caches_do_not_hold_stays_in_memory() -> None:
    assert tile_of(1, 12, 256, 256, MACHINE) is not None
    assert tile_of(1, 12, 1024, 1024, MACHINE) is None
