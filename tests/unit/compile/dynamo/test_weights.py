"""Whatever changes a module's numbers is seen before the next call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ovenbird.dynamo.weights import FrozenTensors

CHANGES: dict[str, Callable[[nn.Linear], object]] = {
    "in place": lambda net: net.weight.add_(0),
    "one element": lambda net: net.weight[1].fill_(0),
    "optimizer": lambda net: torch.optim.SGD(net.parameters(), lr=0.0).step(),
    "state": lambda net: net.load_state_dict(net.state_dict()),
    "new memory": lambda net: setattr(net.weight, "data", net.weight.data.clone()),
    "through data": lambda net: net.weight.data.mul_(2),
    "through data, any one": lambda net: net.weight.data[13, 7].add_(1),
    "through data, the last": lambda net: net.weight.data[-1, -1].fill_(7),
    "through numpy": lambda net: net.weight.data.numpy().__setitem__((0, 0), 7),
}


def make() -> nn.Linear:
    torch.manual_seed(0)
    net = nn.Linear(40, 30)
    net.weight.grad = torch.ones_like(net.weight)
    return net


def arguments(net: nn.Linear) -> list[torch.Tensor]:
    return [torch.zeros(3), net.weight, net.bias]


@pytest.mark.parametrize("change", list(CHANGES))
def test_changes_are_seen(change: str) -> None:
    net = make()
    weights = FrozenTensors(arguments(net), (1, 2))
    assert weights.unchanged(arguments(net))
    with torch.no_grad():
        CHANGES[change](net)
    assert not weights.unchanged(arguments(net))


def large() -> torch.Tensor:
    return torch.zeros(700, 1000)


@pytest.mark.parametrize("start", range(0, 688_000, 69_997))
def test_a_part_of_a_large_tensor_is_seen(start: int) -> None:
    tensor = large()
    weights = FrozenTensors([tensor], (0,))
    tensor.data.view(-1)[start : start + 11_000].add_(1)  # a 63rd
    assert not weights.unchanged([tensor])


@pytest.mark.parametrize("place", [17, 350_011, 699_900])
def test_one_element_of_a_large_tensor_is_seen_where_all_are_compared(place: int) -> None:
    tensor = large()
    some, every = FrozenTensors([tensor], (0,)), FrozenTensors([tensor], (0,), check_all=True)
    assert every.unchanged([tensor])
    tensor.data.view(-1)[place] = 1
    assert some.unchanged([tensor])  # as the page says
    assert not every.unchanged([tensor])


def test_another_tensor_in_its_place_is_seen_and_inputs_may_change() -> None:
    net, other = make(), make()
    weights = FrozenTensors(arguments(net), (1, 2))
    assert not weights.unchanged(arguments(other))
    assert weights.unchanged([torch.ones(5), net.weight, net.bias])


@pytest.mark.parametrize("size", [(0,), (), (1,), (5, 5), (64, 64)])
def test_tensors_of_any_size_and_of_inference_mode(size: tuple[int, ...]) -> None:
    with torch.inference_mode():
        tensor = torch.ones(size)
        weights = FrozenTensors([tensor], (0,))
        assert weights.unchanged([tensor])
        tensor.mul_(2)
        assert weights.unchanged([tensor]) is (tensor.numel() == 0)


def test_a_view_is_sampled_where_it_lies() -> None:
    whole = torch.zeros(1000)
    part = whole[500:600]
    weights = FrozenTensors([part], (0,))
    whole.data[:500].fill_(1)
    whole.data[600:].fill_(1)
    assert weights.unchanged([part])
    whole.data[599] = 1
    assert not weights.unchanged([part])
