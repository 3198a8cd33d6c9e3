"""What no artifact can have, found in a traced program before anything of it is converted.

    refuse_complex(program)
    refuse_unknown_lengths(program, known)      # nodes whose values are known already

Complex numbers have no operators here. How long a tensor is has to be known when the network is compiled.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols
from torch.utils import _pytree as pytree

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.graph.places import operator_of, place_of

NUMBER = (
    "a number taken out of a tensor (.item(), int(), float(), bool(), if) is known for each image alone; keep it a "
    "tensor, and choose by torch.where"
)


def refuse_complex(program: ExportedProgram) -> None:
    """Raise UnsupportedOperator at the first complex numbers."""
    for node in program.graph.nodes:
        if any(tensor.is_complex() for tensor in _tensors(node)):
            raise UnsupportedOperator(
                f"{operator_of(node)} gives complex numbers, which are not known; compute with pairs of real ones, or "
                f"leave the transform to what prepares the input ({place_of(node)})"
            )


def refuse_effects(program: ExportedProgram) -> None:
    """Raise UnsupportedOperator at the first operator that may end the call by values, as torch's inverse does."""
    for node in program.graph.nodes:
        if getattr(node.target, "__name__", "") == "with_effects":
            raise UnsupportedOperator(
                f"{str(node.args[1]).removesuffix('.default')} ends the call by values, as no artifact can; "
                f"invert, solve or factor matrices before the network, or write out formulas ({place_of(node)})"
            )


def refuse_unknown_lengths(program: ExportedProgram, known: Container[Any]) -> None:
    """Raise UnsupportedOperator at the first tensor whose length only the values of the inputs say."""
    for node in program.graph.nodes:
        if node.op != "call_function" or node in known:
            continue
        if any(free_unbacked_symbols(tensor.shape) for tensor in _tensors(node)):
            raise UnsupportedOperator(
                f"how long the result of {operator_of(node)} is depends on the values of the inputs; "
                f"mark places by a mask and torch.where, or take a fixed number by topk ({place_of(node)})"
            )


def has_unknown_lengths(program: ExportedProgram) -> bool:
    """Return whether a tensor of a traced network is as long as values say."""
    return any(free_unbacked_symbols(tensor.shape) for node in program.graph.nodes for tensor in _tensors(node))


def _tensors(node: Any) -> list[torch.Tensor]:
    return [value for value in pytree.tree_leaves(node.meta.get("val")) if isinstance(value, torch.Tensor)]
