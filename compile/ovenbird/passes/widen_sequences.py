"""Writes convolutions of sequences as those of images one pixel high, which backends have fast code for.

    conv1d(x [N, C, L], w)    ->    squeeze(conv2d(expand_dims(x, 2), w [O, I, 1, K]), 2)

What follows elementwise, batch norms and pools among it, is done on the image as well, so that from one convolution to
the next there is no change of form.
"""

from __future__ import annotations

import tvm
from tvm import IRModule, relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from ovenbird.passes.rewriting import rewritten
from ovenbird.passes.shapes import static_shape

UNARY = ("nn.relu", "nn.relu6", "nn.silu", "nn.gelu", "nn.leakyrelu", "sigmoid", "tanh", "clip", "abs", "negative")
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
HEIGHT = 2
"""The axis that an image has more than a sequence."""


@tvm.transform.module_pass(opt_level=0, name="WidenSequences")  # type: ignore[untyped-decorator]
def widen_sequences(module: IRModule, _: tvm.transform.PassContext) -> IRModule:
    """Return the module with one-dimensional convolutions, and maps and pools behind them, on images."""
    return rewritten(module, _Widening)


@mutator
class _Widening(PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        name = getattr(call.op, "name", "").removeprefix("relax.")
        wide = None
        if name in ("nn.conv1d", "nn.conv1d_transpose"):
            wide = self._convolution(call, name)
        elif name in ("nn.max_pool1d", "nn.avg_pool1d"):
            wide = self._pool(call, name)
        elif name in UNARY and (image := self._image(call.args[0])) is not None:
            wide = relax.Call(call.op, [image, *call.args[1:]], call.attrs, call.ty_args)
        elif name in BINARY:
            wide = self._binary(call)
        return call if wide is None else relax.op.squeeze(self.builder_.emit(wide), [HEIGHT])

    def visit_tuple_getitem_(self, item: relax.TupleGetItem) -> relax.Expr:
        """Widen the first of a batch norm's values, which is the only one that is used."""
        item = self.visit_expr_post_order(item)
        norm = self.lookup_binding(item.tuple_value) if isinstance(item.tuple_value, relax.Var) else None
        if norm is None or getattr(getattr(norm, "op", None), "name", "") != "relax.nn.batch_norm" or int(item.index):
            return item
        image = self._image(norm.args[0])
        if image is None or int(norm.attrs.axis) != 1:
            return item
        wide = self.builder_.emit(relax.Call(norm.op, [image, *norm.args[1:]], norm.attrs, norm.ty_args))
        first = self.builder_.emit(relax.TupleGetItem(wide, 0))
        return relax.op.squeeze(first, [HEIGHT])

    def _image(self, expr: relax.Expr) -> relax.Expr | None:
        """Return the image that a sequence was made from here; None for any other."""
        bound = self.lookup_binding(expr) if isinstance(expr, relax.Var) else None
        if bound is None or getattr(getattr(bound, "op", None), "name", "") != "relax.squeeze":
            return None
        image, axes = bound.args[0], bound.attrs.axis
        shape = static_shape(image)
        ours = shape is not None and len(shape) == 4 and axes is not None and [int(a) for a in axes] == [HEIGHT]
        return image if ours else None

    def _widened(self, expr: relax.Expr) -> relax.Expr:
        """Return a sequence, or a kernel, as an image one pixel high."""
        if isinstance(expr, tvm.ir.GenericConst):
            return relax.const(expr.value.numpy()[:, :, None])
        image = self._image(expr)
        return self.builder_.emit(relax.op.expand_dims(expr, HEIGHT)) if image is None else image

    def _convolution(self, call: relax.Call, name: str) -> relax.Expr | None:
        attrs = call.attrs
        transposed = name == "nn.conv1d_transpose"
        if attrs.data_layout != "NCW" or attrs.kernel_layout != ("IOW" if transposed else "OIW"):
            return None
        data, weight = (self._widened(argument) for argument in call.args)
        left, right = (int(width) for width in attrs.padding)
        options = {
            "strides": (1, int(attrs.strides[0])),
            "padding": (0, left, 0, right),
            "dilation": (1, int(attrs.dilation[0])),
            "groups": int(attrs.groups),
            "out_dtype": attrs.out_dtype or None,
        }
        if not transposed:
            return relax.op.nn.conv2d(data, weight, **options)
        return relax.op.nn.conv2d_transpose(
            data, weight, output_padding=(0, int(attrs.output_padding[0])), kernel_layout="IOHW", **options
        )

    def _pool(self, call: relax.Call, name: str) -> relax.Expr | None:
        image, attrs = self._image(call.args[0]), call.attrs
        if image is None or attrs.layout != "NCW":
            return None
        left, right = (int(width) for width in attrs.padding)
        pool = relax.op.nn.max_pool2d if name == "nn.max_pool1d" else relax.op.nn.avg_pool2d
        return pool(
            image,
            pool_size=(1, int(attrs.pool_size[0])),
            strides=(1, int(attrs.strides[0])),
            padding=(0, left, 0, right),
            dilation=(1, int(attrs.dilation[0])),
            ceil_mode=bool(attrs.ceil_mode),
            count_include_pad=bool(attrs.count_include_pad),
        )

    def _binary(self, call: relax.Call) -> relax.Expr | None:
        shape = static_shape(call)
        images = [self._image(argument) for argument in call.args]
        if shape is None or not any(image is not None for image in images):
            return None
        operands = []
        for argument, image in zip(call.args, images, strict=True):
            if image is not None:
                operands.append(image)
            elif isinstance(argument, tvm.ir.GenericConst):
                array = argument.value.numpy()
                operands.append(relax.const(array[..., None, :] if array.ndim > 1 else array, str(array.dtype)))
            elif static_shape(argument) is not None and len(static_shape(argument) or ()) == 3:
                operands.append(self._widened(argument))
            else:
                return None
        return relax.Call(call.op, operands, call.attrs, call.ty_args)
