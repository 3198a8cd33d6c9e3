"""Tracing: names from signatures and dicts, batches found by running, anything else refused."""

from collections import namedtuple
from typing import Any

import pytest
import torch
from torch import nn

from ovenbird.errors import NetworkUnreadable, NetworkUntraceable
from ovenbird.networks.torch.tracing import Traced, flatten_outputs
from ovenbird.networks.user.callables import from_program


class Net(nn.Module):
    """Calls a function: a network for a test in one line."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: torch.Tensor, scale: torch.Tensor | None = None) -> Any:
        return self.function(image) if scale is None else self.function(image, scale)


ONE = torch.arange(6.0).reshape(1, 6)


def test_names_come_from_the_signature_and_the_dict() -> None:
    traced = Traced.of(Net(lambda x, s: {"sum": x + s, "twice": 2 * x}), (ONE, ONE))
    assert traced.input_names == ("image", "scale")
    assert traced.output_names == ("sum", "twice")


def test_example_inputs_may_be_a_dict_or_a_tensor() -> None:
    assert Traced.of(Net(lambda x, s: x + s), {"scale": ONE, "image": 2 * ONE}).input_names == ("scale", "image")
    assert Traced.of(Net(lambda x: x + 1), ONE).output_names == ("output0",)


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (ONE, ["output0"]),
        ((ONE, ONE), ["output0", "output1"]),
        ({"a": ONE, "none": None}, ["a"]),
        (Pair(ONE, ONE), ["left", "right"]),
        ({"boxes": [ONE, ONE]}, ["boxes_0", "boxes_1"]),
        ((ONE, {"a": ONE}), ["output0", "output1_a"]),
    ],
)
def test_outputs_are_flattened_with_names(value: Any, names: list[str]) -> None:
    assert [name for name, _ in flatten_outputs(value)] == names


@pytest.mark.parametrize("value", [3, "text", {}, (ONE, 2)])
def test_outputs_that_are_no_tensors_are_refused(value: Any) -> None:
    with pytest.raises(NetworkUnreadable):
        flatten_outputs(value)


def test_a_batch_is_found_where_rows_stay_apart() -> None:
    assert Traced.of(Net(lambda x: x.relu()), (ONE,)).batched == (True,)
    assert Traced.of(Net(lambda x, s: x * s), (ONE, torch.tensor(2.0))).batched == (True, False)


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (lambda x: x - x.mean(0), 2),  # mixes its rows
        (lambda x: (x - x.mean(0)) * 1e-5, 2),  # however small they are
        (lambda x: torch.cat([(x - x.mean(0)).softmax(1), 0 * x + 3000], 1), 2),  # or large next to it
        (lambda x: x.sum(), 1),  # no batch in the output
        (lambda x: x.reshape(1, 6) * 2, 1),  # a size written into the network
        (lambda x: torch.cat([x, x]), 1),  # two rows out for one in
    ],
)
def test_a_fixed_batch_stays_fixed(function: Any, rows: int) -> None:
    traced = Traced.of(Net(function), (torch.randn(rows, 6, generator=torch.Generator().manual_seed(0)),))
    assert traced.batched == (False,)
    traced.export(None)


def test_padded_tokens_are_computed_as_traced() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, dropout=0.0).eval()

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 1)

        def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
            encoded: torch.Tensor = self.encoder(tokens, src_key_padding_mask=padding)
            return encoded

    tokens, padding = torch.randn(1, 4, 8), torch.tensor([[False, False, False, True]])
    traced = Traced.of(Padded(), (tokens, padding))
    assert traced.batched == (True, True)
    torch.testing.assert_close(traced.export(1).module()(tokens, padding)[0], traced.output_examples[0])
    assert torch.backends.mha.get_fastpath_enabled()


def test_exports_have_the_batch_asked_for() -> None:
    program = Traced.of(Net(lambda x: x.relu()), (ONE,)).export(5)
    (node,) = [node for node in program.graph.nodes if node.op == "placeholder"]
    assert tuple(node.meta["val"].shape) == (5, 6)


@pytest.mark.parametrize("examples", [3, (), ("text",), (ONE, ONE, ONE)])
def test_wrong_example_inputs_are_refused(examples: Any) -> None:
    with pytest.raises(NetworkUnreadable):
        Traced.of(Net(lambda x: x), examples)


def test_a_network_that_fails_on_its_examples_is_untraceable() -> None:
    with pytest.raises(NetworkUntraceable, match="does not run on its example inputs"):
        Traced.of(Net(lambda x: x @ x), (ONE,))


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.arange(6) % 3 > 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.mask]


@pytest.mark.parametrize("exported", [False, True])
def test_a_mask_that_no_input_changes_has_a_length(exported: bool) -> None:
    net, examples = Masked(), (ONE,)
    if exported:  # a program says "as many as are true"
        net, examples = from_program(torch.export.export(net, examples), "the test has")
    (output,) = [node for node in Traced.of(net, examples).export(None).graph.nodes if node.op == "output"]
    assert output.args[0][0].meta["val"].shape == (1, 4)


def test_data_dependent_control_flow_is_untraceable() -> None:
    traced = Traced.of(Net(lambda x: x * 2 if x.sum() > 0 else x), (ONE,))
    with pytest.raises(NetworkUntraceable, match="a number taken out of a tensor"):
        traced.export(1)
