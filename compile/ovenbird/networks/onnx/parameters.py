"""Inputs of operators that are no data but say what is computed: shapes, axes, sizes, counts.

Code is compiled for one value of each, so a network that takes one from its caller is refused before anything is run
(a random number is no axis).

    check_parameters(graph, {"x", "axes"})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ovenbird.errors import UnsupportedOperator

PARAMETERS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("CumSum", "CumProd", "Expand", "Reshape", "Split", "Squeeze", "Tile", "TopK", "Unsqueeze"), (1,)),
    **dict.fromkeys(
        (
            "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
            "ReduceProd", "ReduceSum", "ReduceSumSquare",
        ),
        (1,),
    ),
    "AffineGrid": (1,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "Loop": (0,),
    "NonMaxSuppression": (2, 3, 4),
    "OneHot": (1,),
    "Pad": (1, 2, 3),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
    "ReverseSequence": (1,),
    "Slice": (1, 2, 3, 4),
    "Trilu": (1,),
    "Upsample": (1,),
}  # fmt: skip


def check_parameters(graph: Any, inputs: set[str]) -> None:
    """Check that no input of the network is such a parameter. Raises UnsupportedOperator, which names both."""
    for node in graph.node:
        for index in PARAMETERS.get(node.op_type, ()):
            name = node.input[index] if index < len(node.input) else ""
            if name in inputs:
                what = f"{node.op_type} ({node.name})" if node.name else node.op_type
                raise UnsupportedOperator(
                    f"the input {name!r} says what the operator {what} computes; make it a constant (an initializer)"
                )
