"""How torch's definitions of its operators are asked for."""

import pytest
import torch
import torch._export.utils as listing
from torch import nn

from ovenbird.networks.torch.graph import decomposition
from ovenbird.networks.torch.graph.decomposition import composites_listed, decompose


class Late(nn.Module):
    """A network that calls an operator made of others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.ovenbird_late.twice(x)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore")  # torch's own
def test_an_operator_made_of_others_is_opened_that_was_defined_since_the_last_network() -> None:
    program = torch.export.export(nn.ReLU(), (torch.ones(2),))
    decompose(program, {"relu.default"}, ())
    with torch.library._scoped_library("ovenbird_late", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x + x, "CompositeImplicitAutograd")
        opened = decompose(torch.export.export(Late(), (torch.ones(2),)), {"add.Tensor"}, ())
        assert [node.target.__name__ for node in opened.graph.nodes if node.op == "call_function"] == ["add.Tensor"]


def test_torch_lists_them_once_in_it_and_as_ever_after_it() -> None:
    theirs = listing._materialize_cpp_cia_ops
    with composites_listed(), composites_listed():
        assert listing._materialize_cpp_cia_ops is not theirs
    assert listing._materialize_cpp_cia_ops is theirs is decomposition._list_composites
    with pytest.raises(KeyError), composites_listed():
        raise KeyError
    assert listing._materialize_cpp_cia_ops is theirs
