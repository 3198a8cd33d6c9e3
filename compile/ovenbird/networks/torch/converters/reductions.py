"""Reductions that TVM's importer lacks: `amax` and `amin`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ovenbird.networks.torch.converters.converter import Converter

if TYPE_CHECKING:
    from tvm import relax


def extreme(reduce: Callable[..., Any]) -> Converter:
    """`amax` and `amin`: over the dimensions given, all of them where none is."""

    def convert(node: Any, importer: Any) -> relax.Var:
        axes = list(node.args[1]) if len(node.args) > 1 else []
        keepdims = bool(node.args[2]) if len(node.args) > 2 else False
        result: relax.Var = importer.block_builder.emit(reduce(importer.env[node.args[0]], axes or None, keepdims))
        return result

    return convert
