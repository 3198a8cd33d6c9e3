"""Every load and store of a kernel stays inside its buffer, by construction.

    module = bound_accesses(module)

TVM's operators lean on each other's promises: `slice_scatter` holds an index inside the destination where the source is
shorter, and a `Select` loads both of its sides. Here each index of each access is proved to lie in its buffer, from the
ranges of the loops and from what encloses it: an `if_then_else` evaluates one branch only, so its condition counts; a
`Select` does not. A load that cannot be proved is held at the edge of the buffer; a store that cannot is left out where
it would fall outside. What memory holds may have changed since it was compared: a condition on what the function writes
proves nothing. Functions whose accesses are all proved, which is nearly all of them, stay as they are.

Example: with `b` of 8 elements and i < 16, `Select(i < 8, b[i], 0)` becomes `Select(i < 8, b[min(i, 7)], 0)`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm import IRModule, tirx
from tvm.s_tir import SBlock
from tvm.sym import Analyzer

GUARD = "prim.if_then_else"


@tvm.transform.module_pass(opt_level=0, name="BoundAccesses")  # type: ignore[untyped-decorator]
def bound_accesses(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with every access of its kernels in bounds."""
    result = IRModule(dict(module.functions_items()), attrs=module.attrs)
    for name, function in module.functions_items():
        if isinstance(function, tirx.PrimFunc):
            result[name] = bound_function(function)
    return result


def bound_function(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """Return the unscheduled function with every access in bounds; the same function where nothing was in doubt."""
    bounder = _Bounder(written(function.body))
    body = tvm_ffi.structural_mutate(function.body, bounder.callbacks())
    return function.with_body(body) if bounder.held else function


class _Bounder:
    """Rewrites statements and expressions, knowing the ranges and the conditions around each."""

    def __init__(self, written: Sequence[Any]) -> None:
        self.analyzer = Analyzer()
        self.written = written
        self.held = 0
        """Accesses that could not be proved."""

    def callbacks(self) -> list[tuple[Any, Any]]:
        """Return what to do at which kind of node, for `structural_mutate`."""
        return [
            (tirx.For, self.loop),
            (SBlock, self.block),
            (tirx.Bind, self.binding),
            (tirx.IfThenElse, self.branch),
            (tvm.ir.Call, self.call),
            (tvm.ir.TensorLoad, self.load),
            (tirx.BufferStore, self.store),
        ]

    @contextlib.contextmanager
    def given(self, condition: Any) -> Iterator[None]:
        """Take a condition, and each part of a conjunction, as true inside, but for what may change there."""
        with contextlib.ExitStack() as stack:
            for part in conjunction(self.analyzer.simplify(condition)):
                if self.lasts(part):
                    stack.enter_context(self.analyzer.constraint_scope(part))
            yield

    def lasts(self, expression: Any) -> bool:
        """Return whether an expression reads nothing that the function writes."""
        loads: list[Any] = []
        tvm_ffi.structural_walk(expression, (tvm.ir.TensorLoad, loads.append))
        return not any(load.source.same_as(buffer) for load in loads for buffer in self.written)

    def know(self, variable: Any, least: Any, most: Any) -> None:
        """Take a variable to lie between the bounds that two expressions have now."""
        low, high = self.analyzer.const_int_bound(least).min_value, self.analyzer.const_int_bound(most).max_value
        dtype = variable.ty.dtype
        if max(high, high - low) < int(tirx.max_value(dtype).value):  # or nothing is known that a range can say
            bounds = tvm.ir.Range(tirx.const(low, dtype), tirx.const(high + 1, dtype))
            self.analyzer.bind(variable, bounds, allow_override=True)

    def loop(self, loop: Any, mutator: Any) -> Any:
        if self.lasts(loop.min) and self.lasts(loop.extent):
            self.analyzer.bind(loop.loop_var, tvm.ir.Range.from_min_extent(loop.min, loop.extent), allow_override=True)
        else:
            self.know(loop.loop_var, loop.min, loop.min + loop.extent - 1)
        return mutator.default_mutate(loop)

    def block(self, block: Any, mutator: Any) -> Any:
        for axis in block.iter_vars:
            self.analyzer.bind(axis.var, axis.dom, allow_override=True)
        before = self.held
        init = None if block.init is None else mutator.mutate(block.init)
        body = mutator.mutate(block.body)
        if self.held == before:
            return block
        return with_regions(block, body, init)

    def binding(self, binding: Any, mutator: Any) -> Any:
        binding = mutator.default_mutate(binding)
        if str(binding.value.ty.dtype).startswith(("int", "uint")):
            if self.lasts(binding.value):
                self.analyzer.bind(binding.var, binding.value, allow_override=True)
            else:
                self.know(binding.var, binding.value, binding.value)
        return binding

    def branch(self, branch: Any, mutator: Any) -> Any:
        condition = mutator.mutate(branch.condition)
        with self.given(condition):
            then = mutator.mutate(branch.then_case)
        if branch.else_case is None:
            return tirx.IfThenElse(condition, then, None)
        with self.given(tirx.Not(condition)):
            otherwise = mutator.mutate(branch.else_case)
        return tirx.IfThenElse(condition, then, otherwise)

    def call(self, call: Any, mutator: Any) -> Any:
        if getattr(call.op, "name", "") != GUARD:
            return mutator.default_mutate(call)
        condition = mutator.mutate(call.args[0])
        with self.given(condition):
            then = mutator.mutate(call.args[1])
        with self.given(tirx.Not(condition)):
            otherwise = mutator.mutate(call.args[2])
        if all(new.same_as(old) for new, old in zip((condition, then, otherwise), call.args, strict=True)):
            return call
        return tirx.if_then_else(condition, then, otherwise)

    def load(self, load: Any, mutator: Any) -> Any:
        indices = [mutator.mutate(index) for index in load.indices]
        held = [self.hold(index, extent) for index, extent in zip(indices, load.source.shape, strict=True)]
        if all(new.same_as(old) for new, old in zip(held, load.indices, strict=True)):
            return load
        return tirx.BufferLoad(load.source, held)

    def hold(self, index: Any, extent: Any) -> Any:
        """Return the index, held inside [0, extent) on the sides where it may leave."""
        below, beyond = self.escapes(index, extent)
        self.held += below or beyond
        if beyond:
            index = tirx.min(index, tirx.const(int(extent) - 1, index.ty.dtype) if is_static(extent) else extent - 1)
        return tirx.max(index, tirx.const(0, index.ty.dtype)) if below else index

    def escapes(self, index: Any, extent: Any) -> tuple[bool, bool]:
        """Return whether an index may lie below 0, and whether beyond the last element."""
        return not self.analyzer.can_prove(index >= 0), not self.analyzer.can_prove(index < extent)

    def store(self, store: Any, mutator: Any) -> Any:
        indices = [mutator.mutate(index) for index in store.indices]
        value = mutator.mutate(store.value)
        conditions = []
        for index, extent in zip(indices, store.buffer.shape, strict=True):
            below, beyond = self.escapes(index, extent)
            conditions += [index >= 0] * below + [index < extent] * beyond
        written = tirx.BufferStore(store.buffer, value, indices)
        if not conditions:
            same = [value.same_as(store.value), *(a.same_as(b) for a, b in zip(indices, store.indices, strict=True))]
            return store if all(same) else written
        self.held += 1
        return tirx.IfThenElse(tirx.all(*conditions), written, None)


def written(body: Any) -> list[Any]:
    """Return the buffers that a statement stores to."""
    found: list[Any] = []
    tvm_ffi.structural_walk(body, (tirx.BufferStore, lambda store: found.append(store.buffer)))
    return found


def conjunction(condition: Any) -> Iterator[Any]:
    """Yield the parts of a conjunction; the condition itself where it is none."""
    if isinstance(condition, tirx.And):
        yield from conjunction(condition.a)
        yield from conjunction(condition.b)
    else:
        yield condition


def with_regions(block: Any, body: Any, init: Any) -> Any:
    """Return the block with another body, and with what that reads and writes worked out anew."""
    fields: Sequence[Any] = (block.alloc_buffers, block.match_buffers, block.annotations)
    plain = SBlock(block.iter_vars, block.reads, block.writes, block.name_hint, body, init, *fields)
    known = {region.source: region.source for region in (*block.reads, *block.writes)}
    reads, writes, _ = tvm.s_tir.analysis.get_sblock_access_region(plain, known)
    return SBlock(block.iter_vars, reads, writes or block.writes, block.name_hint, body, init, *fields)


def is_static(extent: Any) -> bool:
    """Return True for a constant extent."""
    return isinstance(extent, (int, tirx.IntImm))
