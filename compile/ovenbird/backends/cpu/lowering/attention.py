"""Finds scaled dot-product attention in the imported network and emits it as one function.

The importer writes it out: a product, scale and masks, a softmax over the last axis (guarded against rows that are
masked everywhere, or not), a second product; with reshapes and broadcasts between them.

Example: `matmul(softmax(matmul(q, kT) * scale + mask), v)` with q [12, 197, 64] becomes one call.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import tvm
from tvm import relax, te, topi

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.movements.reshape import keeps_order, reshaped
from ovenbird.backends.cpu.lowering.movements.views import View, scalar, trace_view
from ovenbird.backends.cpu.machine import rounds_all
from ovenbird.backends.cpu.schedules.attention import choose_tiling
from ovenbird.lowering.operators.names import SHAPERS
from ovenbird.lowering.value import Value
from ovenbird.operators import layout
from ovenbird.operators.attention import AttentionPlan, attention, pack_mask
from ovenbird.operators.bfloat16 import sums as bfloat16
from ovenbird.operators.layout import extents
from ovenbird.passes.shapes import static_shape

EVERY_SCORE = (["min", "equal"], ["logical_not", "max", "logical_not", "equal"])
"""How importers write that all scores of a row equal something, from the last step to the first."""


@dataclass
class Attention:
    """One attention: what it reads, and what happens to the scores; a mask comes with the scores' shape there."""

    views: tuple[View, View, View]
    scale: float
    masks: list[tuple[relax.Expr, tuple[int, ...]]]
    columns: int
    depth: int
    keep_empty: bool


def definition(lowering: CpuLowering, expr: relax.Expr) -> tuple[str, relax.Call] | None:
    """Return the operator's name and the call that a variable is bound to."""
    bound = lowering.definitions.get(expr) if isinstance(expr, relax.Var) else None
    return (getattr(bound.op, "name", ""), bound) if isinstance(bound, relax.Call) else None


def skip_reshapes(lowering: CpuLowering, expr: relax.Expr) -> relax.Expr:
    """`expr` before reshapes that leave the last two axes alone."""
    while (found := definition(lowering, expr)) is not None:
        call = found[1]
        if not same_matrices(call):
            break
        expr = call.args[0]
    return expr


def same_matrices(call: relax.Call) -> bool:
    """Return True for a reshape that keeps rows and columns."""
    if getattr(call.op, "name", "") not in SHAPERS:
        return False
    before, after = static_shape(call.args[0]), static_shape(call)
    return keeps_order(call) and before is not None and after is not None and before[-2:] == after[-2:]


def find_attention(lowering: CpuLowering, call: relax.Call) -> Attention | None:
    """Return the attention that ends in this product; None if it is another product."""
    left, right = call.args
    if len(static_shape(call) or ()) < 3:
        return None
    expr, keep_empty = skip_guard(lowering, skip_reshapes(lowering, left))
    found = definition(lowering, expr)
    if found is None or found[0] != "relax.nn.softmax":
        return None
    softmax = found[1]
    if int(softmax.attrs.axis) not in (-1, len(static_shape(softmax) or ()) - 1):
        return None
    scale, masks = 1.0, []
    expr = softmax.args[0]
    while True:
        expr = skip_reshapes(lowering, expr)
        found = definition(lowering, expr)
        if found is None:
            return None
        name, scores = found
        if name == "relax.matmul":
            break
        shape = static_shape(scores)
        if name not in ("relax.add", "relax.multiply", "relax.divide") or shape is None:
            return None
        first, second = scores.args
        if name == "relax.add" and static_shape(first) != shape:
            first, second = second, first
        factor = scalar(second)
        if static_shape(first) != shape:
            return None
        if name == "relax.add":
            mask_shape = static_shape(second) or ()
            if len(mask_shape) < 2 or mask_shape[-1] != shape[-1] or str(second.ty.dtype) != "float32":
                return None
            # The scale is applied first: a later factor would have to reach the masks as well.
            masks.append((second, shape))
        elif factor is None or masks_follow(lowering, first) or not factor:
            return None
        else:
            scale *= factor if name == "relax.multiply" else 1.0 / factor
        expr = first
    query, key = scores.args
    depth, columns = (static_shape(key) or (0, 0))[-2:]
    ranks = {len(static_shape(operand) or ()) for operand in (query, key, right, left)}
    leads = {(static_shape(operand) or ())[:-2] for operand in (query, key)} | {(static_shape(right) or ())[:-2]}
    if not ranks <= {3, 4} or len({math.prod(lead) for lead in leads}) != 1:
        return None
    if any(str(operand.ty.dtype) != "float32" for operand in (query, key, right)):
        return None
    views = (trace_view(lowering, query), trace_view(lowering, key), trace_view(lowering, right))
    if views[2].scale != 1.0:
        return None
    return Attention(views, scale * views[0].scale * views[1].scale, masks, columns, depth, keep_empty)


def masks_follow(lowering: CpuLowering, expr: relax.Expr) -> bool:
    """Return True if a mask was added to the scores before `expr`."""
    while True:
        found = definition(lowering, skip_reshapes(lowering, expr))
        if found is None or found[0] == "relax.matmul":
            return False
        if found[0] == "relax.add":
            return True
        expr = found[1].args[0]


def skip_guard(lowering: CpuLowering, expr: relax.Expr) -> tuple[relax.Expr, bool]:
    """Return the softmax behind `where(every score is -inf, 0, softmax)`, and whether that guard is there."""
    found = definition(lowering, expr)
    if found is None or found[0] != "relax.where":
        return expr, False
    condition, zeros, value = found[1].args
    softmax = definition(lowering, value)
    names: list[str] = []
    while (step := definition(lowering, condition)) is not None and len(names) < 8:
        names.append(step[0].removeprefix("relax."))
        if names[-1] == "equal":
            break
        condition = step[1].args[0]
    guarded = [name for name in names if name != "astype"] in EVERY_SCORE
    filled = definition(lowering, zeros)
    if filled is not None and filled[0] in ("relax.full_like", "relax.full"):
        zeros = filled[1].args[1]
    is_zero = isinstance(zeros, tvm.ir.GenericConst) and not zeros.value.numpy().any()
    if not guarded or not is_zero or softmax is None or step is None:
        return expr, False
    compared = step[1]
    minus_infinity = scalar(compared.args[1]) == float("-inf")
    same = softmax[0] == "relax.nn.softmax" and softmax[1].args[0].same_as(compared.args[0])
    return (value, True) if minus_infinity and same else (expr, False)


def emit_attention(lowering: CpuLowering, found: Attention, shape: tuple[int, ...]) -> relax.Expr:
    """Emit the function; `shape` is that of the result."""
    rows, width = shape[-2:]
    views = [functools.partial(as_matrices, view) for view in found.views]
    sources = [lowering.expression(view.source) for view in found.views]
    if found.depth % bfloat16.TAPS == 0 and rounds_all(lowering.machine):
        sources = rounded(lowering, sources)
    lanes = lowering.block
    count = layout.blocks(found.columns, lanes)
    tile_rows, vectors = choose_tiling(count, rows, layout.blocks(width, lanes), lowering.machine)
    padded = -(-count // vectors) * vectors * lanes
    masks = [packed_mask(lowering, lowering.value(mask), lanes, padded) for mask, _ in found.masks]
    plan = AttentionPlan(
        views=(views[0], views[1], views[2]),
        scale=found.scale,
        mask_shapes=tuple(scores for _, scores in found.masks),
        keep_empty=found.keep_empty,
        lanes=lanes,
        rows=tile_rows,
        score_vectors=vectors,
    )
    result = lowering.emit_te("attention", attention, *sources, *masks, plan=plan)
    return reshaped(lowering, result, shape)


def rounded(lowering: CpuLowering, sources: list[relax.Expr]) -> list[relax.Expr]:
    """Return what attention reads in bfloat16, each tensor once: mostly the end of the kernels that make it."""
    emit_te, kept = lowering.builder.emit_te, {}
    for one in sources:
        if one not in kept:
            kept[one] = emit_te(bfloat16.rounded, one, primfunc_name_hint="round")
    return [kept[one] for one in sources]


def as_matrices(view: View, tensor: te.Tensor) -> te.Tensor:
    """Return the view of `tensor` with all leading axes as one."""
    result = view.apply(tensor)
    *lead, rows, columns = extents(result)
    return result if len(lead) == 1 else topi.reshape(result, (math.prod(lead), rows, columns))


def packed_mask(lowering: CpuLowering, mask: Value, lanes: int, padded: int) -> relax.Expr:
    """Return the mask with its last axis in blocks of lanes, minus infinity past its end."""
    if mask.constant is None:
        plain = lowering.form.plain(mask)
        return lowering.builder.emit_te(pack_mask, plain, lanes, padded, primfunc_name_hint="pack_mask")
    array = mask.constant
    widths = [(0, 0)] * (array.ndim - 1) + [(0, padded - array.shape[-1])]
    wide = np.pad(array, widths, constant_values=-np.inf)
    return relax.const(wide.reshape(*array.shape[:-1], padded // lanes, lanes))
