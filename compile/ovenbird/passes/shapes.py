"""Static shapes of Relax expressions.

Example: `static_shape(call)` is `(1, 64, 56, 56)`, or None where an extent is symbolic.
"""

from __future__ import annotations

from tvm import relax


def static_shape(expr: relax.Expr) -> tuple[int, ...] | None:
    """Return the static shape of a tensor expression; None if it is unknown or symbolic."""
    return static_shape_of(expr.ty)


def static_shape_of(tensor: relax.TensorType) -> tuple[int, ...] | None:
    """Return the static shape of a tensor type; None if it is unknown or symbolic, or the type has none."""
    shape = getattr(tensor, "shape", None)
    if not isinstance(shape, relax.ShapeExpr):
        return None
    try:
        return tuple(int(extent) for extent in shape.values)
    except TypeError:
        return None
