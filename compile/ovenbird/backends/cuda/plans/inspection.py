"""What a fused function holds: a matrix product, a reduction, a chain of reductions, or elementwise maps alone.

kind_of(sch)                                # "product"
shape_of(sch, product_anchor(sch).block)    # ProductShape(batch=1, rows=49, columns=512, inner=4608)
"""

from __future__ import annotations

from typing import Literal

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.backends.cuda.plans.tiling import ProductShape
from ovenbird.operators.anchors import Anchor
from ovenbird.operators.writing.blocks import anchor_among, find_anchor, is_reduction, leaf_blocks

FunctionKind = Literal["product", "reduction", "chain", "elements"]


def kind_of(sch: Schedule) -> FunctionKind:
    """Return the kind of an unscheduled function that has blocks."""
    blocks = leaf_blocks(sch)
    if anchor_among(sch, blocks) is not None:
        return "product"
    reductions = [block for block in blocks if is_reduction(sch, block)]
    if not reductions:
        return "elements"
    return "reduction" if len(reductions) == 1 and same_elements(sch, reductions[0], blocks[-1]) else "chain"


def product_anchor(sch: Schedule) -> Anchor:
    """Return the anchor of a product; the dtype of its operands decides whether tensor cores are used."""
    anchor = find_anchor(sch)
    assert anchor is not None
    return anchor


def find_reduction(sch: Schedule) -> SBlockRV:
    """Return the first block that accumulates."""
    return next(block for block in leaf_blocks(sch) if is_reduction(sch, block))


def shape_of(sch: Schedule, product: SBlockRV) -> ProductShape:
    """Return the product's extents."""
    batch, rows, columns, inner = (int(variable.dom.extent) for variable in sch.get(product).iter_vars)
    return ProductShape(batch, rows, columns, inner)


def sizes(sch: Schedule, block: SBlockRV) -> tuple[int, int]:
    """Return how many elements a reduction gives, and how many it reads for each."""
    outputs = summed = 1
    for variable in sch.get(block).iter_vars:
        if variable.iter_type == variable.DataPar:
            outputs *= int(variable.dom.extent)
        else:
            summed *= int(variable.dom.extent)
    return outputs, summed


def same_elements(sch: Schedule, reduction: SBlockRV, output: SBlockRV) -> bool:
    """Return True if the function's output has one element for each of the reduction's."""
    written = 1
    for length in sch.get(output).writes[0].source.shape:
        written *= int(length)
    return written == sizes(sch, reduction)[0]
