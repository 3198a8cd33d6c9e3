"""A border of zeros that is written out before a 2-d convolution becomes part of the convolution's own padding.

module = absorb_padding(module)          # conv2d(pad(x), w) is conv2d(x, w, padding)

For what looks at the network before it is lowered: calibration would quantize the padded image, and have it written in
floats before that.
"""

from __future__ import annotations

from typing import Any

from tvm import IRModule, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.rewriting import rewritten

IMAGE = 4
"""Axes of an image NCHW."""


def absorb_padding(module: IRModule) -> IRModule:
    """Return the module without borders of zeros that convolutions alone read."""
    return relax.transform.DeadCodeElimination()(rewritten(module, _Absorber))


@mutator
class _Absorber(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        if getattr(call.op, "name", "") != "relax.nn.conv2d" or call.attrs.data_layout != "NCHW":
            return call
        data, padding = call.args[0], [int(width) for width in call.attrs.padding]
        while (border := self._border(data)) is not None:
            padding = [inner + outer for inner, outer in zip(padding, border, strict=True)]
            data = self.lookup_binding(data).args[0]
        if data.same_as(call.args[0]):
            return call
        attrs = call.attrs
        return relax.op.nn.conv2d(
            data,
            call.args[1],
            strides=list(attrs.strides),
            padding=padding,
            dilation=list(attrs.dilation),
            groups=int(attrs.groups),
            data_layout=attrs.data_layout,
            kernel_layout=attrs.kernel_layout,
            out_layout=attrs.out_layout,
            out_dtype=attrs.out_dtype,
        )

    def _border(self, data: relax.Expr) -> tuple[int, int, int, int] | None:
        """Return (top, left, bottom, right) of the zeros that a variable's value has around it; None if it has none."""
        bound: Any = self.lookup_binding(data) if isinstance(data, relax.Var) else None
        if getattr(getattr(bound, "op", None), "name", "") != "relax.nn.pad":
            return None
        widths = [int(width) for width in bound.attrs.pad_width]
        zeros = bound.attrs.pad_mode == "constant" and float(bound.attrs.pad_value) == 0
        if not zeros or len(widths) != 2 * IMAGE or any(widths[:4]) or min(widths) < 0:
            return None
        return widths[4], widths[6], widths[5], widths[7]
