"""Operators that compute element by element, in the dtype that torch promotes their operands to.

    "add.Tensor": pointwise(add, 2)

torch's own `elementwise_dtypes` says what is computed in and what comes out: a Python number never widens a tensor of
its kind, a float with whole numbers makes floats, a comparison compares in the common dtype.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ovenbird.networks.torch.converters.converter import Arguments, Converter, dtype_name


def pointwise(compute: Callable[..., Any], operands: int, kind: str = "DEFAULT") -> Converter:
    """Return a converter that promotes the first `operands` arguments by torch's rule `kind` and calls `compute`.

    `compute(*operands, **others)` gets expressions of one dtype (None where torch has None) and the other arguments by
    name; it returns an expression, which is cast to the dtype of the result.
    """

    def convert(node: Any, importer: Any) -> Any:
        from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND as KINDS
        from torch._prims_common import elementwise_dtypes

        given = Arguments.of(node, importer)
        names = list(given.nodes)[:operands]
        common, _ = elementwise_dtypes(
            *(given.fake(name) for name in names if given.nodes[name] is not None), type_promotion_kind=KINDS[kind]
        )
        dtype = dtype_name(common)
        values = [None if given.nodes[name] is None else given.cast(given[name], dtype) for name in names]
        known = inspect.signature(compute).parameters
        others = {name: value for name, value in given.values.items() if name not in names and name in known}
        result = given.emit(compute(*values, **others))
        return given.cast(result, given.dtype)

    return convert


def logical(compute: Callable[..., Any], operands: int) -> Converter:
    """Return a converter of an operator on truth values: whatever is not 0 is true."""

    def convert(node: Any, importer: Any) -> Any:
        given = Arguments.of(node, importer)
        names = list(given.nodes)[:operands]
        return given.emit(compute(*(given.cast(given[name], "bool") for name in names)))

    return convert
