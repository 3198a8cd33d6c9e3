"""Joins a 1x1 convolution and the depthwise one that alone reads it to one kernel, as inverted bottlenecks begin.

    module = join_expansions(module, worth)     # behind FuseTIR; worth((1, 24, 40, 40, 8), FLOAT32) says whether to

The image between them is the widest of the network: it is neither kept in memory nor padded by a copy any more. What
makes one loop nest of the two is the schedule, `schedules/expansion.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from typing import Any

import tvm
import tvm_ffi
from tvm import IRModule, relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.operators.anchors import FLOAT32, Anchor, AnchorKind, Arithmetic, DepthwiseStages, PointwiseStages
from ovenbird.operators.bfloat16 import sums as bfloat16
from ovenbird.operators.writing.blocks import anchors_among, is_reduction, leaf_blocks
from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape

Worth = Callable[[tuple[int, ...], Arithmetic], bool]
"""Whether two kernels are better one, by the shape of the image between them, [N, C/b, H, W, b], and how it is made."""

AXES = 5
"""Of an image in blocks of channels."""


def join_expansions(module: IRModule, worth: Worth) -> IRModule:
    """Return the module with such pairs as one kernel each; equal pairs share one."""
    joined = rewritten(module, lambda one: _Joining(one, worth))
    return tvm.transform.Sequential([relax.transform.FuseTIR(), relax.transform.DeadCodeElimination()])(joined)


@mutator
class _Joining(PyExprMutator):  # type: ignore[misc]
    def __init__(self, module: IRModule, worth: Worth) -> None:
        super().__init__(module)
        kernels = {name: body for name, body in module.functions_items() if isinstance(body, tirx.PrimFunc)}
        halves = {name: half_of(body) for name, body in kernels.items()}
        known = {name: half for name, half in halves.items() if half is not None}
        self.expanding = {name: half.arithmetic for name, half in known.items() if half.kind == "tile"}
        self.windows = {name: half.arithmetic for name, half in known.items() if half.kind == "depthwise"}
        self.worth = worth
        self.definitions: dict[relax.Var, relax.Expr] = {}
        self.reads: Counter[relax.Var] = Counter()
        for _, function in module.functions_items():
            if isinstance(function, relax.Function):
                self._learn(function)
        self.joined: dict[tuple[Any, Any], Any] = {}

    def _learn(self, function: relax.Function) -> None:
        def count(variable: relax.Var) -> None:
            self.reads[variable] += 1

        for block in function.body.blocks:
            for binding in block.bindings:
                self.definitions[binding.var] = binding.value
                tvm_ffi.structural_walk(binding.value, (relax.Var, count))
        tvm_ffi.structural_walk(function.body.body, (relax.Var, count))

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        image = call.args[1].fields[0] if calls(call, self.windows) else None
        first = self.definitions.get(image) if isinstance(image, relax.Var) else None
        second = self.visit_expr_post_order(call)
        if first is None or not calls(first, self.expanding) or self.reads[image] != 1:
            return second
        shape = static_shape(image)
        if shape is None or not self.worth(shape, self.expanding[first.args[0]]):
            return second
        first = self.visit_expr_post_order(first)
        arguments = [*first.args[1], *list(second.args[1])[1:]]
        return relax.Call(self._pair(first, second), arguments)

    def _pair(self, first: relax.Call, second: relax.Call) -> Any:
        """Return the function of both, which FuseTIR makes a kernel of."""
        key = (first.args[0], second.args[0])
        if key not in self.joined:
            given = [relax.Var(f"a{place}", one.ty) for place, one in enumerate(first.args[1])]
            rest = [relax.Var(f"b{place}", one.ty) for place, one in enumerate(list(second.args[1])[1:])]
            name = f"{key[0].name_hint}_{key[1].name_hint.removeprefix('fused_')}"
            builder = relax.BlockBuilder()
            with builder.function(name, [*given, *rest], {"Primitive": 1}):
                with builder.dataflow():
                    image = builder.emit(relax.Call(first.op, [key[0], relax.Tuple(given)], None, first.ty_args))
                    read = relax.Tuple([image, *rest])
                    output = builder.emit_output(relax.Call(second.op, [key[1], read], None, second.ty_args))
                builder.emit_func_output(output)
            self.joined[key] = self.builder_.add_func(builder.get()[name], name)
        return self.joined[key]


def calls(call: Any, kernels: Container[Any]) -> bool:
    """Return whether an expression calls one of these kernels, which have one output each."""
    named = isinstance(call, relax.Call) and getattr(call.op, "name", "") == "relax.call_tir"
    return named and call.args[0] in kernels and len(call.args) == 2


def half_of(kernel: tirx.PrimFunc) -> Anchor | None:
    """Return the anchor of a kernel that may be half of a pair, with elementwise maps behind it: "tile", a 1x1
    convolution that sums in float32, or "depthwise", one of a padded float32 image; None of others.
    """
    sch = Schedule(kernel)
    blocks = leaf_blocks(sch)
    names = [sch.get(block).name_hint for block in blocks[:2]]
    if names == [PointwiseStages.SUMS, PointwiseStages.IMAGE]:
        return _anchor_before_maps(sch, blocks, "tile")
    if names != [DepthwiseStages.PADDED, DepthwiseStages.SUMS]:
        return None
    found = _anchor_before_maps(sch, blocks[1:], "depthwise")
    return found if sch.get(blocks[0]).reads[0].source.same_as(kernel.params[0]) else None


def _anchor_before_maps(sch: Schedule, blocks: list[SBlockRV], kind: AnchorKind) -> Anchor | None:
    """Return the first block where it is the only anchor, of floats, and the others map images in blocks."""
    anchors = anchors_among(sch, blocks)
    known = (FLOAT32, bfloat16.ARITHMETIC) if kind == "tile" else (FLOAT32,)
    if [anchor.kind for anchor in anchors] != [kind] or anchors[0].arithmetic not in known:
        return None
    if any(operand != anchors[0].operand for operand in anchors[0].operands):
        return None
    maps = all(len(sch.get_loops(block)) == AXES and not is_reduction(sch, block) for block in blocks[1:])
    return anchors[0] if maps else None
