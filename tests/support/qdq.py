"""Small networks of 8-bit levels, written once: as Relax operators on fake-quantized floats, and in whole numbers.

    network = Qdq()
    x = network.input(generator, (1, 16, 8, 8), Grid(0.05, 128))
    network.output(network.conv2d(x, weight, scales, bias=bias).relu().quantize(Grid(0.1, 0)))
    module, inputs, wanted = network.finish()

`wanted` follows docs/explanation/precision.md, in int64 and float32 of numpy, which knows no fused multiply-add.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
from tvm import relax

Array = np.ndarray


@dataclass(frozen=True)
class Grid:
    """Levels of 8 bits: (q - zero) * scale."""

    scale: float
    zero: int

    @property
    def constants(self) -> tuple[relax.Expr, relax.Expr]:
        return relax.const(np.float32(self.scale)), relax.const(np.uint8(self.zero))

    def round(self, value: Array, low: float = -np.inf, high: float = np.inf) -> Array:
        """Return float32, in units of a level, as levels."""
        assert value.dtype == np.float32
        with np.errstate(invalid="ignore"):
            return (np.clip(np.rint(value), max(low, -self.zero), min(high, 255 - self.zero)) + self.zero).astype(
                np.uint8
            )

    def values(self, levels: Array) -> Array:
        """Return the float32 that levels stand for."""
        return (levels.astype(np.int32) - self.zero).astype(np.float32) * np.float32(self.scale)


@dataclass(frozen=True)
class Levels:
    """A tensor of levels: `expr` is its dequantized float32 in Relax."""

    network: Qdq
    expr: relax.Expr
    levels: Array
    grid: Grid

    @property
    def centred(self) -> Array:
        return self.levels.astype(np.int64) - self.grid.zero

    @property
    def floats(self) -> Floats:
        return Floats(self.network, self.expr, self.grid.values(self.levels))

    def moved(self, expr: relax.Expr, levels: Array) -> Levels:
        """Return levels that an operator moved, quantized again on the same grid."""
        return self.network.pair(expr, levels, self.grid)


@dataclass(frozen=True)
class Floats:
    """A tensor of float32, which both sides compute with the same operations."""

    network: Qdq
    expr: relax.Expr
    array: Array

    def quantize(self, grid: Grid) -> Levels:
        return self.network.pair(self.expr, grid.round(self.array / np.float32(grid.scale)), grid)


@dataclass(frozen=True)
class Sums:
    """Exact sums, and what was added; `channel` is the axis of the output channels."""

    network: Qdq
    expr: relax.Expr
    total: Array
    scale: Array
    channel: int
    bias: Array | None = None
    residual: Levels | None = None
    low: float = -np.inf
    high: float = np.inf

    def along(self, term: Array) -> Array:
        return term.reshape([-1 if axis == self.channel else 1 for axis in range(self.total.ndim)])

    def _then(self, expr: relax.Expr, **changes: Any) -> Sums:
        return dataclasses.replace(self, expr=self.network.emit(expr), **changes)

    def add_bias(self, bias: Array) -> Sums:
        return self._then(relax.op.add(self.expr, relax.const(self.along(bias))), bias=bias.astype(np.float64))

    def add(self, residual: Levels, first: bool = False) -> Sums:
        sides = (residual.expr, self.expr) if first else (self.expr, residual.expr)
        return self._then(relax.op.add(*sides), residual=residual)

    def relu(self) -> Sums:
        return self._then(relax.op.nn.relu(self.expr), low=0.0)

    def clip(self, low: float, high: float) -> Sums:
        return self._then(relax.op.clip(self.expr, low, high), low=low, high=high)

    def value(self, scale: float) -> Array:
        """Return the float32 in units of `scale`, before it is held in a range."""
        found = self.total.astype(np.int32).astype(np.float32) * self.along((self.scale / scale).astype(np.float32))
        if self.bias is not None:
            found = found + self.along((self.bias / scale).astype(np.float32))
        if self.residual is not None:
            share = np.float32(np.float64(np.float32(self.residual.grid.scale)) / scale)
            found = found + self.residual.centred.astype(np.float32) * share
        return found

    def quantize(self, grid: Grid) -> Levels:
        scale = float(np.float32(grid.scale))
        low, high = (bound if np.isinf(bound) else np.rint(bound / scale) for bound in (self.low, self.high))
        return self.network.pair(self.expr, grid.round(self.value(scale), low, high), grid)

    @property
    def floats(self) -> Floats:
        return Floats(self.network, self.expr, np.clip(self.value(1.0), np.float32(self.low), np.float32(self.high)))


@dataclass
class Qdq:
    """A network of levels in the making."""

    builder: relax.BlockBuilder = field(default_factory=relax.BlockBuilder)
    bindings: list[Any] = field(default_factory=list)
    parameters: list[relax.Var] = field(default_factory=list)
    inputs: list[Array] = field(default_factory=list)
    outputs: list[tuple[relax.Expr, Array]] = field(default_factory=list)

    def emit(self, expr: relax.Expr) -> relax.Expr:
        """Bind an expression to a name."""
        var = relax.Var(f"v{len(self.bindings)}", self.builder.normalize(expr).ty)
        self.bindings.append(relax.VarBinding(var, expr))
        return var

    def pair(self, expr: relax.Expr, levels: Array, grid: Grid) -> Levels:
        """Quantize and dequantize `expr`, which gives `levels`."""
        quantized = self.emit(relax.op.quantize(expr, *grid.constants, out_dtype="uint8"))
        return Levels(self, self.emit(relax.op.dequantize(quantized, *grid.constants)), levels, grid)

    def input(self, generator: np.random.Generator, shape: tuple[int, ...], grid: Grid) -> Levels:
        """Take a float32 input whose levels are random, the extremes among them."""
        levels = generator.integers(0, 256, shape, np.uint8)
        levels.reshape(-1)[::7] = 255
        levels.reshape(-1)[::11] = 0
        parameter = relax.Var(f"x{len(self.parameters)}", relax.TensorType(shape, "float32"))
        self.parameters.append(parameter)
        self.inputs.append(grid.values(levels))
        return self.pair(parameter, levels, grid)

    def weight(self, weight: Array, scales: Array, axis: int) -> relax.Expr:
        """Return the dequantization of constant int8 weights."""
        zeros = relax.const(np.zeros(scales.shape, np.int8))
        return self.emit(relax.op.dequantize(relax.const(weight), relax.const(scales), zeros, axis=axis))

    def conv2d(
        self,
        x: Levels,
        weight: Array,
        scales: Array,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        dilation: int = 1,
    ) -> Sums:
        """Convolve; `weight` int8 OIHW, `scales` float32 [O]."""
        options = {"strides": stride, "padding": padding, "groups": groups, "dilation": dilation}
        expr = self.emit(relax.op.nn.conv2d(x.expr, self.weight(weight, scales, 0), **options))
        total = convolve(x.centred, weight.astype(np.int64), stride, padding, groups, dilation)
        return Sums(self, expr, total, scales.astype(np.float64) * np.float64(np.float32(x.grid.scale)), 1)

    def matmul(self, x: Levels, weight: Array, scales: Array) -> Sums:
        """Multiply by int8 [K, N] with float32 [N]."""
        expr = self.emit(relax.op.matmul(x.expr, self.weight(weight, scales, 1)))
        total = x.centred @ weight.astype(np.int64)
        return Sums(self, expr, total, scales.astype(np.float64) * np.float64(np.float32(x.grid.scale)), total.ndim - 1)

    def output(self, result: Levels | Floats | Sums) -> None:
        """Make a tensor one of the outputs, as float32."""
        floats = result if isinstance(result, Floats) else result.floats
        self.outputs.append((floats.expr, floats.array))

    def finish(self) -> tuple[tvm.IRModule, list[Array], list[Array]]:
        """Return the module, its inputs, and what it must give."""
        body = relax.Tuple([expr for expr, _ in self.outputs])
        result = relax.Var("result", relax.TupleType([expr.ty for expr, _ in self.outputs]))
        block = relax.DataflowBlock([*self.bindings])
        last = relax.BindingBlock([relax.VarBinding(result, body)])
        function = relax.Function(self.parameters, relax.SeqExpr([block, last], result), result.ty)
        module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
        return module, self.inputs, [array for _, array in self.outputs]


def convolve(data: Array, weight: Array, stride: int, padding: int, groups: int, dilation: int) -> Array:
    """Convolve int64 NCHW by OIHW."""
    data = np.pad(data, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    outputs, group_in, height, width = weight.shape
    rows = (data.shape[2] - (height - 1) * dilation - 1) // stride + 1
    columns = (data.shape[3] - (width - 1) * dilation - 1) // stride + 1
    result = np.zeros((data.shape[0], outputs, rows, columns), np.int64)
    group_out = outputs // groups
    for group in range(groups):
        source = data[:, group * group_in : (group + 1) * group_in]
        kernel = weight[group * group_out : (group + 1) * group_out]
        for y in range(height):
            for x in range(width):
                top, left = y * dilation, x * dilation
                part = source[:, :, top : top + rows * stride : stride, left : left + columns * stride : stride]
                part = part[:, :, :rows, :columns]
                result[:, group * group_out : (group + 1) * group_out] += np.einsum(
                    "nihw,oi->nohw", part, kernel[:, :, y, x]
                )
    return result
