"""Any array that a caller can make, checked and made what the network takes.

    batch = check_inputs(specs, {"image": array}, nan="refuse")     # gives the batch size too

A tensor that is not aligned, not contiguous or of another byte order would be read as garbage, or crash; so
nothing of the caller's reaches the engine but through a copy into an aligned buffer.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..errors import NotFinite, WrongDtype, WrongInputNames, WrongOption, WrongShape, shown
from ..manifest.manifest import TensorSpec
from ..tensors.arrays import Array

NanPolicy = Literal["refuse", "allow"]
_ALLOW_NAN = 'allow them with nan="allow"'


def check_inputs(
    specs: Sequence[TensorSpec], inputs: Mapping[str, Any], nan: NanPolicy = "refuse", hint: str = _ALLOW_NAN
) -> tuple[int, dict[str, Array]]:
    """Check what a caller gives for the network's inputs.

    Gives the batch size (1 where no input has a batch dimension) and the arrays in the network's dtypes, still anywhere
    in memory; `hint` says how the caller can allow NaN.

    Raises WrongInputNames, WrongShape, WrongDtype, NotFinite, WrongOption.
    """
    if not isinstance(nan, str) or nan not in ("refuse", "allow"):
        raise WrongOption(f'nan is {shown(nan)}, expected "refuse" or "allow"')
    if not isinstance(inputs, Mapping):
        raise WrongInputNames(
            f"inputs are a {type(inputs).__name__}, expected a mapping of names to arrays: {_names(specs)}"
        )
    missing = [spec.name for spec in specs if spec.name not in inputs]
    extra = [name for name in inputs if name not in {spec.name for spec in specs}]
    if missing or extra:
        what = f"lacks {shown(missing[0])}" if missing else f"has {shown(extra[0])}"
        raise WrongInputNames(f"the call {what}; the network's inputs are {_names(specs)}")
    arrays = {spec.name: check_array(spec, inputs[spec.name], nan, hint) for spec in specs}
    batches = {arrays[spec.name].shape[0] for spec in specs if spec.batched}
    if len(batches) > 1:
        raise WrongShape(f"the inputs have different batch sizes: {', '.join(map(str, sorted(batches)))}")
    return (batches.pop() if batches else 1), arrays


def check_array(spec: TensorSpec, value: Any, nan: NanPolicy, hint: str = _ALLOW_NAN) -> Array:
    """Return `value` as an array of the spec's dtype and shape. Raises WrongShape, WrongDtype, NotFinite."""
    import numpy as np

    masked = sys.modules.get("numpy.ma")  # which numpy imports when it is asked for; without it nothing is masked
    if masked is not None and isinstance(value, masked.MaskedArray) and masked.is_masked(value):
        raise WrongDtype(f"{spec.name} is a masked array with values masked out: fill them first (.filled)")
    try:
        array = np.asarray(value)
    except Exception as error:  # noqa: BLE001 - whatever the caller's object raises while it becomes an array
        raise WrongDtype(f"{spec.name} is a {type(value).__name__} that cannot become an array: {error}") from None
    _check_dtype(spec, array)
    check_dims(spec, array.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.asarray(array.astype(spec.dtype, copy=False), order="C")
    # A sum is finite only if all it sums is; it may still overflow without that, which the second look finds out.
    if nan == "refuse" and array.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            finite = bool(np.isfinite(array.sum()) or np.isfinite(array).all())
        if not finite:
            bad = int(np.count_nonzero(~np.isfinite(array)))
            raise NotFinite(f"{spec.name} holds {bad} values that are NaN or infinite as {spec.dtype} ({hint})")
    return array


def _check_dtype(spec: TensorSpec, array: Array) -> None:
    """Within a kind (floating, integer, boolean) a conversion keeps the meaning; an integer must also fit."""
    import numpy as np

    want = np.dtype(spec.dtype)
    kind = {"u": "i"}
    same = kind.get(array.dtype.kind, array.dtype.kind) == kind.get(want.kind, want.kind)
    if not same or array.dtype.fields is not None:
        raise WrongDtype(f"{spec.name} is {shown(str(array.dtype))}, the network takes {spec.dtype}: convert it")
    if want.kind in "iu" and array.size and not np.can_cast(array.dtype, want):
        low, high = int(array.min()), int(array.max())
        limits = np.iinfo(want)
        if low < limits.min or high > limits.max:
            raise WrongDtype(f"{spec.name} holds {low} to {high}, beyond {spec.dtype} ({limits.min} to {limits.max})")


def check_dims(spec: TensorSpec, shape: tuple[int, ...]) -> None:
    """Check a shape against the network's. Raises WrongShape."""
    expected = "(" + ", ".join(map(str, spec.shape)) + ("," if len(spec.shape) == 1 else "") + ")"
    fits = len(shape) == len(spec.shape) and all(
        isinstance(d, str) or d == have for d, have in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise WrongShape(f"{spec.name} has shape {shape}, the network takes {expected}")
    if spec.batched and shape[0] < 1:
        raise WrongShape(f"{spec.name} has shape {shape}: a batch holds at least 1")


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs[:8]) + (" ..." if len(specs) > 8 else "")
