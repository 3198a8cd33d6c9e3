"""Graphs share an entry of the cache where code would be the same, and only there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx, nn

from ovenbird.dynamo.inspection import inspect_graph
from ovenbird.dynamo.key import graph_key


def key_of(net: nn.Module, *inputs: Any) -> str:
    found: list[str] = []

    def catch(graph: fx.GraphModule, examples: Any) -> Any:
        found.append(graph_key(graph, inspect_graph(graph, examples), examples))
        return graph.forward

    torch.compiler.reset()
    with torch.no_grad():
        torch.compile(net.eval(), backend=catch)(*inputs)
    return found[0]


class Net(nn.Module):
    def __init__(self, seed: int = 0, slope: float = 0.1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.line, self.norm, self.slope = nn.Linear(6, 4), nn.BatchNorm1d(4), slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.leaky_relu(self.norm(self.line(x)), self.slope)


def with_statistics() -> Net:
    net = Net()
    net.norm.running_var.mul_(2)
    return net


def test_the_same_network_has_one_key_however_its_input_lies() -> None:
    x = torch.randn(3, 6)
    assert key_of(Net(), x) == key_of(Net(), x + 1) == key_of(Net(), torch.randn(6, 3).t())


@pytest.mark.parametrize(
    "other",
    [
        lambda: (Net(1), torch.randn(3, 6)),
        lambda: (Net(slope=0.2), torch.randn(3, 6)),
        lambda: (with_statistics(), torch.randn(3, 6)),
        lambda: (Net(), torch.randn(4, 6)),
        lambda: (Net().half(), torch.randn(3, 6).half()),
    ],
    ids=["weights", "constant", "buffer", "shape", "dtype"],
)
def test_what_code_depends_on_is_part_of_it(other: Callable[[], tuple[nn.Module, torch.Tensor]]) -> None:
    assert key_of(Net(), torch.randn(3, 6)) != key_of(*other())
