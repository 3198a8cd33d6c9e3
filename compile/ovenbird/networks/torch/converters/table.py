"""torch operators that TVM's importer lacks, or reads otherwise than torch computes them.

Every converter is a line of this table; the families are in files of their own.
"""

from __future__ import annotations

from ovenbird.networks.torch.converters.converter import Converter

DISTRUSTED = frozenset(
    {
        "_native_batch_norm_legit_functional.default",  # takes the running statistics
        "linalg_vector_norm.default",
        "masked_fill.Scalar",  # cannot fill with infinity
        "median.default",  # reads a result that the operator does not have
        "median.dim",
        "searchsorted.Tensor",
        "take.default",
        "selu.default",
        "celu.default",  # divides exp(x) by alpha, not x; torch's definition is right
    }
)
"""TVM's converters that compute something else than torch; torch's definition of the operator stands in, if any."""

RESIZES = tuple(
    f"{mode}.{overload}"
    for overload in ("vec", "default")
    for mode in (
        "upsample_nearest1d",
        "upsample_nearest2d",
        "upsample_nearest3d",
        "_upsample_nearest_exact1d",
        "_upsample_nearest_exact2d",
        "_upsample_nearest_exact3d",
        "upsample_linear1d",
        "upsample_bilinear2d",
        "upsample_trilinear3d",
        "upsample_bicubic2d",
        "_upsample_bilinear2d_aa",
        "_upsample_bicubic2d_aa",
    )
)
"""torch's operators that resize."""


def torch_operators() -> dict[str, Converter]:
    """Return the converters by the operator's name and overload, as torch.export writes them."""
    return {**pointwise_operators(), **reducing_operators(), **other_operators()}


def pointwise_operators() -> dict[str, Converter]:
    """Return the converters of what computes element by element."""
    from tvm import relax

    from ovenbird.networks.torch.converters import arithmetic
    from ovenbird.networks.torch.converters.functions import functions
    from ovenbird.networks.torch.converters.pointwise import logical, pointwise

    op = relax.op
    binary = {
        "add": arithmetic.add,
        "sub": arithmetic.subtract,
        "rsub": arithmetic.subtract_reversed,
        "mul": arithmetic.multiply,
        "remainder": arithmetic.remainder,
        "fmod": arithmetic.fmod,
        "bitwise_and": op.bitwise_and,
        "bitwise_or": op.bitwise_or,
        "bitwise_xor": op.bitwise_xor,
        "bitwise_left_shift": arithmetic.shift_left,
        "bitwise_right_shift": arithmetic.shift_right,
    }
    spelled = {
        "and": op.bitwise_and,
        "or": op.bitwise_or,
        "xor": op.bitwise_xor,
        "lshift": arithmetic.shift_left,
        "rshift": arithmetic.shift_right,
    }
    compared = {
        "eq": op.equal,
        "ne": arithmetic.differ,
        "lt": op.less,
        "le": op.less_equal,
        "gt": op.greater,
        "ge": op.greater_equal,
    }
    of_floats = {
        "acos": op.acos,
        "acosh": op.acosh,
        "asin": op.asin,
        "asinh": op.asinh,
        "atan": op.atan,
        "atanh": op.atanh,
        "cos": op.cos,
        "erf": op.erf,
        "exp": op.exp,
        "log": op.log,
        "reciprocal": arithmetic.reciprocal,
        "rsqrt": op.rsqrt,
        "sigmoid": op.sigmoid,
        "sin": op.sin,
        "sqrt": op.sqrt,
        "tan": op.tan,
        "tanh": op.tanh,
    }
    return {
        **{
            f"{name}.{kind}": pointwise(compute, 2) for name, compute in binary.items() for kind in ("Tensor", "Scalar")
        },
        **{
            f"__{name}__.{kind}": pointwise(compute, 2)
            for name, compute in spelled.items()
            for kind in ("Tensor", "Scalar")
        },
        **functions(),
        **{
            f"{name}.{kind}": pointwise(arithmetic.compared(compute), 2, "ALWAYS_BOOL")
            for name, compute in compared.items()
            for kind in ("Tensor", "Scalar")
        },
        **{f"{name}.default": pointwise(compute, 1, "INT_TO_FLOAT") for name, compute in of_floats.items()},
        "div.Tensor": pointwise(arithmetic.divide, 2, "INT_TO_FLOAT"),
        "div.Scalar": pointwise(arithmetic.divide, 2, "INT_TO_FLOAT"),
        "div.Tensor_mode": pointwise(arithmetic.divide_rounded, 2),
        "div.Scalar_mode": pointwise(arithmetic.divide_rounded, 2),
        "floor_divide.default": pointwise(arithmetic.floor_divide, 2),
        "atan2.default": pointwise(op.atan2, 2, "INT_TO_FLOAT"),
        "pow.Tensor_Tensor": pointwise(arithmetic.power, 2, "BOOL_TO_LONG"),
        "pow.Tensor_Scalar": pointwise(arithmetic.power, 2, "BOOL_TO_LONG"),
        "pow.Scalar": pointwise(arithmetic.power, 2, "BOOL_TO_LONG"),
        "maximum.default": pointwise(arithmetic.maximum, 2),
        "minimum.default": pointwise(arithmetic.minimum, 2),
        "max.other": pointwise(arithmetic.maximum, 2),
        "min.other": pointwise(arithmetic.minimum, 2),
        "clamp.default": pointwise(arithmetic.clamp, 3),
        "clamp.Tensor": pointwise(arithmetic.clamp, 3),
        "clamp_min.default": pointwise(arithmetic.clamp_below, 2),
        "clamp_min.Tensor": pointwise(arithmetic.clamp_below, 2),
        "clamp_max.default": pointwise(arithmetic.clamp_above, 2),
        "clamp_max.Tensor": pointwise(arithmetic.clamp_above, 2),
        "where.default": arithmetic.where,
        "where.self": arithmetic.where,
        "logical_and.default": logical(op.logical_and, 2),
        "logical_or.default": logical(op.logical_or, 2),
        "logical_xor.default": logical(op.logical_xor, 2),
        "logical_not.default": logical(op.logical_not, 1),
        "bitwise_not.default": pointwise(arithmetic.bitwise_not, 1),
        "_to_copy.default": arithmetic.to_dtype,
    }


def reducing_operators() -> dict[str, Converter]:
    """Return the converters of reductions."""
    from tvm import relax

    from ovenbird.networks.torch.converters.reductions import all_or_any, extreme_of_dimension, reduction, spread

    op = relax.op
    return {
        "amax.default": reduction(op.max),
        "amin.default": reduction(op.min),
        "max.default": reduction(op.max),
        "max.dim": extreme_of_dimension(largest=True),
        "min.dim": extreme_of_dimension(largest=False),
        "min.default": reduction(op.min),
        "sum.default": reduction(op.sum),
        "sum.dim_IntList": reduction(op.sum),
        "mean.default": reduction(op.mean),
        "mean.dim": reduction(op.mean),
        "prod.default": reduction(op.prod),
        "prod.dim_int": reduction(op.prod),
        "var.correction": spread(root=False),
        "std.correction": spread(root=True),
        "any.default": all_or_any(every=False),
        "any.dim": all_or_any(every=False),
        "any.dims": all_or_any(every=False),
        "all.default": all_or_any(every=True),
        "all.dim": all_or_any(every=True),
        "all.dims": all_or_any(every=True),
    }


def other_operators() -> dict[str, Converter]:
    """Return the converters of layers."""
    from tvm import relax

    from ovenbird.networks.torch.converters.indexing import index, put
    from ovenbird.networks.torch.converters.layers.convolutions import convolution
    from ovenbird.networks.torch.converters.layers.normalizations import group_norm, layer_norm
    from ovenbird.networks.torch.converters.layers.pooling import (
        adaptive_average,
        adaptive_maximum,
        average,
        maximum_with_places,
    )
    from ovenbird.networks.torch.converters.layers.recurrent import RECURRENT
    from ovenbird.networks.torch.converters.ordering import ORDERING
    from ovenbird.networks.torch.converters.products import distances, multiply_and_add, multiply_matrices
    from ovenbird.networks.torch.converters.quantization import QUANTIZATION
    from ovenbird.networks.torch.converters.rearranging import MOVING
    from ovenbird.networks.torch.converters.refusals import REFUSALS
    from ovenbird.networks.torch.converters.resizing import resize
    from ovenbird.networks.torch.converters.sampling import SAMPLING

    nn = relax.op.nn
    return {
        "_cdist_forward.default": distances,
        "adaptive_avg_pool1d.default": adaptive_average,
        "_adaptive_avg_pool2d.default": adaptive_average,
        "_adaptive_avg_pool3d.default": adaptive_average,
        "adaptive_max_pool2d.default": adaptive_maximum(2),
        "adaptive_max_pool3d.default": adaptive_maximum(3),
        "addmm.default": multiply_and_add("mat1", "mat2"),
        "avg_pool1d.default": average(1, nn.avg_pool1d),
        "avg_pool2d.default": average(2, nn.avg_pool2d),
        "avg_pool3d.default": average(3, nn.avg_pool3d),
        "baddbmm.default": multiply_and_add("batch1", "batch2"),
        "bmm.default": multiply_matrices,
        "convolution.default": convolution,
        "index.Tensor": index,
        "_unsafe_index.Tensor": index,
        "index_put.default": put,
        "_unsafe_index_put.default": put,
        "max_pool2d_with_indices.default": maximum_with_places(2, nn.max_pool2d),
        "max_pool3d_with_indices.default": maximum_with_places(3, nn.max_pool3d),
        "mm.default": multiply_matrices,
        "native_group_norm.default": group_norm,
        "native_layer_norm.default": layer_norm,
        **ORDERING,
        **RECURRENT,
        **MOVING,
        **QUANTIZATION,
        **REFUSALS,
        **SAMPLING,
        **dict.fromkeys(RESIZES, resize),
    }
