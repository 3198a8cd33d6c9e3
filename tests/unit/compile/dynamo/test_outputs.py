"""Results lie in memory as torch's do, and those that share memory share it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx

from ovenbird.dynamo.outputs import plan_outputs
from ovenbird.dynamo.reporting import EagerOnly


def assembled(call: Callable[..., Any], *inputs: torch.Tensor) -> Any:
    """Return what a function gives whose graph is run by torch, and whose results are then made as the plan says."""

    def backend(graph: fx.GraphModule, examples: Any) -> Any:
        plan = plan_outputs(graph, list(graph.graph.find_nodes(op="placeholder")), None)

        def run(*arguments: torch.Tensor) -> Any:
            results = graph(*arguments)
            computed = [results[place].clone(memory_format=torch.contiguous_format) for place in plan.computed]
            return plan.assemble(computed, arguments)

        return run

    torch.compiler.reset()
    with torch.no_grad():
        return torch.compile(call, backend=backend)(*inputs)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: (x.relu(), (x * 2).t()),
        lambda x: (x * 2).chunk(2, 1),
        lambda x: ((y := x.relu()), y.t(), y.view(-1), y[1:]),
        lambda x: ((y := x.relu()).view(-1), y.t()),
        lambda x: (x.relu(), x, x[:, 1:], x.t()),
        lambda x: ((y := x.relu()), y),
        lambda x: (x.relu().unsqueeze(0), x.sum(0, keepdim=True)),
    ],
)
def test_results_are_torch_s_own(call: Callable[..., Any]) -> None:
    x = torch.randn(4, 6)
    given, right = assembled(call, x), call(x)
    assert len(given) == len(right)
    for one, two in zip(given, right, strict=True):
        torch.testing.assert_close(one, two)
        assert one.stride() == two.stride()

    def shared(tensors: Any) -> list[list[bool]]:
        memory = [tensor.untyped_storage().data_ptr() for tensor in [*tensors, x]]
        return [[one == two for two in memory] for one in memory]

    if call(x)[0].numel() == x.numel():  # chunks are made apart: no element is shared
        assert shared(given) == shared(right)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda x: ((y := x.relu())[:, :3], y[:, 2:]), "two of its results share memory in part"),
        (lambda x: x.sum(0).expand(4, 6), "a result is expanded"),
        (lambda x: (x.relu(), x.view(torch.int32)), "a view of another dtype"),
        (lambda x: (x[1:], x.t()), "it computes nothing"),
    ],
)
def test_what_cannot_be_made_is_refused(call: Callable[..., Any], why: str) -> None:
    with pytest.raises(Exception, match=why) as caught:
        assembled(call, torch.randn(4, 6))
    assert caught.type.__name__ in ("BackendCompilerFailed", EagerOnly.__name__)
