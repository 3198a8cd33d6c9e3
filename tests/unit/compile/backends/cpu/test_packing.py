"""1x1 convolutions whose data lie in many pages read a copy of a few positions; the others read in place."""

from typing import Any

import pytest
import torch
from torch import nn

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules import packing


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was decided, layer by layer."""
    found: list[int] = []
    decide = packing.tiles_to_pack

    def noted(*given: Any) -> int:
        found.append(decide(*given))
        return found[-1]

    monkeypatch.setattr("ovenbird.backends.cpu.schedules.register_tile.tiles_to_pack", noted)
    return found


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [(32, 32), (31, 37)])
def test_packed_data_give_what_torch_gives(check: Any, packs: list[int], batch: int, size: tuple[int, int]) -> None:
    check(nn.Sequential(nn.Conv2d(1024, 48, 1), nn.ReLU()), torch.randn(batch, 1024, *size))
    assert all(packs)


def test_a_residual_is_added_behind_packed_data(check: Any, packs: list[int]) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(24, 1024, 1), nn.Conv2d(1024, 24, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.narrow(torch.relu(self.wide(x)))

    check(Residual(), torch.randn(1, 24, 33, 32))
    assert any(packs)
    assert not all(packs)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (nn.Conv2d(1024, 32, 1), (1, 1024, 8, 8)),
        (nn.Conv2d(128, 32, 1), (1, 128, 40, 40)),
        (nn.Conv2d(2048, 2048, 1, groups=2), (1, 2048, 32, 32)),
        (nn.Conv2d(1024, 16, 1, stride=2), (1, 1024, 64, 64)),
    ],
    ids=["few positions", "few channels", "groups", "a stride"],
)
def test_others_are_read_in_place(check: Any, packs: list[int], network: nn.Module, shape: tuple[int, ...]) -> None:
    check(network, torch.randn(shape))
    assert not any(packs)


def test_lines_collide_on_maps_of_powers_of_two() -> None:
    machine = Machine(32, 16, 32 << 10, 512 << 10, cores=2)
    assert packing.collides(32 * 32 * 8, 60, machine)
    assert packing.collides(16 * 16 * 8, 65, machine)
    assert not packing.collides(16 * 16 * 8, 64, machine)
    assert not packing.collides(31 * 33 * 8, 60, machine)
    assert not packing.collides(28 * 28 * 8, 60, machine)


def test_data_that_collide_are_packed(check: Any, packs: list[int]) -> None:
    check(nn.Conv2d(544, 24, 1), torch.randn(1, 544, 32, 32))
    assert all(packs)
