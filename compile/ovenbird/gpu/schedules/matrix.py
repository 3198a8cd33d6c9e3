"""Matrix products on a GPU: tiles in shared memory, outputs in registers, the epilogue fused behind them.

A block of threads walks along the summed axis; each step it copies a tile of both operands into shared memory
(reading a convolution's image through its window, `ovenbird.gpu.operators.patches`) and multiplies them. With float16
operands warps multiply on tensor cores (`tensor_core`), otherwise threads do (`simt`).

Example: `schedule_product(sch, chip)` for a fused convolution, bias and ReLU.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.gpu.chip import Chip
from ovenbird.gpu.schedules.simt import schedule_simt
from ovenbird.gpu.schedules.tensor_core import schedule_tensor_core
from ovenbird.gpu.schedules.threads import bind_threads
from ovenbird.gpu.schedules.vectors import schedule_vectors
from ovenbird.gpu.tiling import FEW_ROWS, ProductShape, choose_tile
from ovenbird.operators.conv2d import ANCHOR
from ovenbird.schedules.blocks import is_reduction, leaf_blocks


def find_product(sch: Schedule) -> SBlockRV:
    """The block that multiplies."""
    return next(block for block in leaf_blocks(sch) if ANCHOR in sch.get(block).annotations)


def shape_of(sch: Schedule, product: SBlockRV) -> ProductShape:
    """The product's extents."""
    batch, rows, columns, inner = (int(variable.dom.extent) for variable in sch.get(product).iter_vars)
    return ProductShape(batch, rows, columns, inner)


def operand_dtype(sch: Schedule, product: SBlockRV) -> str:
    """The dtype of the operands, which decides whether tensor cores are used."""
    return str(sch.get(product).reads[-1].source.dtype)


def schedule_product(sch: Schedule, chip: Chip) -> None:
    """Schedules a product and all that is fused with it; its parts are joined by a kernel of their own."""
    product = find_product(sch)
    shape, dtype = shape_of(sch, product), operand_dtype(sch, product)
    blocks = leaf_blocks(sch)
    joined = [b for b in blocks if is_reduction(sch, b) and sch.get(b).name_hint != sch.get(product).name_hint]
    if shape.rows <= FEW_ROWS and not joined:
        schedule_vectors(sch, product)
        return
    rule = schedule_tensor_core if dtype == "float16" else schedule_simt
    if joined:
        names = [sch.get(block).name_hint for block in blocks]
        behind = blocks[names.index("product") + 1 :]
        for block in behind[:-1]:
            if not is_reduction(sch, block):
                sch.compute_inline(block)
        output = behind[-1]
        schedule_joining(sch, joined[0], output)
    rule(sch, product, choose_tile(shape, chip, dtype))


def schedule_joining(sch: Schedule, joined: SBlockRV, output: SBlockRV) -> None:
    """One thread an output sums the parts and does the epilogue."""
    if sch.get(joined).name_hint == sch.get(output).name_hint:
        bind_threads(sch, output)
        return
    inner = bind_threads(sch, output)
    sch.compute_at(joined, inner, preserve_unit_loops=True)
    sch.set_scope(joined, 0, "local")
