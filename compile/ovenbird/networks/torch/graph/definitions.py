"""Operators defined by simpler ones where torch itself has no definition: what each computes, in torch's own words.

definitions()       # {torch.ops.aten.put.default: put, ...}, as torch's own table has them
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ovenbird.limits import MAX_DETERMINANT_SIDE

aten = torch.ops.aten


def put(data: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """Write into the flat tensor."""
    flat: Tensor = torch.index_put(data.reshape(-1), (index.reshape(-1),), source.reshape(-1), accumulate)
    return flat.reshape(data.shape)


def take(data: Tensor, index: Tensor) -> Tensor:
    """Read from the flat tensor."""
    found: Tensor = aten.index.Tensor(data.reshape(-1), [index])
    return found


def trilinear(
    one: Tensor, two: Tensor, three: Tensor, expand1: Any, expand2: Any, expand3: Any, sumdim: Any, unroll_dim: int = 1
) -> Tensor:
    """Multiply three tensors, each with dimensions of one put in, and sum over some: `nn.Bilinear`."""
    for axis in expand1:
        one = one.unsqueeze(axis)
    for axis in expand2:
        two = two.unsqueeze(axis)
    for axis in expand3:
        three = three.unsqueeze(axis)
    product: Tensor = one * two * three
    return product.sum(sumdim, dtype=product.dtype)


def add_products(data: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Sum products of matrices, and add: `addbmm`."""
    if not data.is_floating_point():
        alpha, beta = int(alpha), int(beta)
    products = alpha * torch.bmm(batch1, batch2).sum(0, dtype=batch1.dtype)
    return products if beta == 0 else beta * data + products


def running_maximum(data: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return the largest so far, and where the last of its kind is."""
    return _running(data, dim, largest=True)


def running_minimum(data: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return the smallest so far, and where the last of its kind is."""
    return _running(data, dim, largest=False)


def _running(data: Tensor, dim: int, largest: bool) -> tuple[Tensor, Tensor]:
    """Look at all pairs of places: step by step, each would be written out in the code of every later one."""
    if not data.dim():
        return data.clone(), torch.zeros_like(data, dtype=torch.int64)
    if data.dtype == torch.bool:
        values, places = _running(data.to(torch.uint8), dim, largest)
        return values.to(torch.bool), places
    row = data.movedim(dim, -1).unsqueeze(-2)
    count = row.shape[-1]
    later = torch.ones(count, count, dtype=torch.bool).triu(1)
    least, most = float("-inf"), float("inf")
    if not data.is_floating_point():
        least, most = torch.iinfo(data.dtype).min, torch.iinfo(data.dtype).max
    values = torch.where(later, least, row).amax(-1) if largest else torch.where(later, most, row).amin(-1)
    same = row == values.unsqueeze(-1)
    if data.is_floating_point():
        same = same | (row.isnan() & values.isnan().unsqueeze(-1))
    places = torch.where(same & ~later, torch.arange(count), -1).amax(-1)
    return values.movedim(-1, dim), places.movedim(-1, dim)


def running_log_sum(data: Tensor, dim: int) -> Tensor:
    """Return the logarithm of the running sum of exponentials."""
    if not data.dim():
        return data.clone()
    moved = data.movedim(dim, -1)
    count = moved.shape[-1]
    later = torch.ones(count, count, dtype=torch.bool).triu(1)
    return moved.unsqueeze(-2).masked_fill(later, float("-inf")).logsumexp(-1).movedim(-1, dim)


def variance_and_mean(data: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Any:
    """Return both: by the mean first, then the squares around it."""
    return torch.var(data, dim, correction=_of_sample(correction), keepdim=keepdim), _mean(data, dim, keepdim)


def deviation_and_mean(data: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Any:
    """Return both."""
    return torch.std(data, dim, correction=_of_sample(correction), keepdim=keepdim), _mean(data, dim, keepdim)


def _of_sample(correction: Any) -> Any:
    return 1 if correction is None else correction


def _mean(data: Tensor, dim: Any, keepdim: bool) -> Tensor:
    return torch.mean(data, list(range(data.dim())) if dim is None else dim, keepdim)


def places_in_order(
    bounds: Tensor,
    values: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Count the bounds below each value, or up to it (`searchsorted`)."""
    bounds = bounds if sorter is None else bounds.gather(-1, sorter)
    low, value = bounds.unsqueeze(-2), values.unsqueeze(-1)
    before = ~(low > value) if right or side == "right" else low < value
    before = before if values.is_floating_point() and (right or side == "right") else before | (value != value)
    return before.sum(-1, dtype=torch.int32 if out_int32 else torch.int64).reshape(values.shape)


def place_in_order(bounds: Tensor, value: Any, **options: Any) -> Tensor:
    """Count the bounds below one number."""
    return places_in_order(bounds, torch.scalar_tensor(value, dtype=bounds.dtype), **options)


def masked_scatter(data: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Write the source's numbers, one after the other, where the mask is true."""
    data, mask = torch.where(mask, data, data), mask | torch.zeros_like(data, dtype=torch.bool)
    places = mask.reshape(-1).cumsum(0) - 1
    taken = source.reshape(-1).index_select(0, places.clamp(0, source.numel() - 1)).reshape(data.shape)
    return torch.where(mask, taken, data)


def kth_smallest(data: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Sort, and take one."""
    if not data.dim():
        return data.clone(), torch.zeros_like(data, dtype=torch.int64)
    values, places = torch.sort(data, dim)
    return values.narrow(dim, k - 1, 1).squeeze(_dims(dim, keepdim)), places.narrow(dim, k - 1, 1).squeeze(
        _dims(dim, keepdim)
    )


def _dims(dim: int, keepdim: bool) -> Any:
    return () if keepdim else (dim,)


def median_of_dimension(data: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Return the lower of the two in the middle, or the first that is not a number."""
    if not data.dim():
        return data.clone(), torch.zeros_like(data, dtype=torch.int64)
    value, place = kth_smallest(data, (data.shape[dim] + 1) // 2, dim, keepdim)
    if data.is_floating_point():
        odd = data.isnan()
        value = torch.where(odd.any(dim, keepdim), float("nan"), value)
        place = torch.where(odd.any(dim, keepdim), odd.int().argmax(dim, keepdim), place)
    return value, place


def median(data: Tensor) -> Tensor:
    """Return the lower of the two in the middle of all."""
    return median_of_dimension(data.reshape(-1), 0)[0]


def vector_norm(
    data: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Return the root of the sum of powers; the largest or smallest size, or how many are not 0."""
    size = (data if dtype is None else data.to(dtype)).abs()
    dims = list(range(data.dim())) if dim is None else dim
    if ord in (float("inf"), float("-inf")):
        return size.amax(dims, keepdim) if ord > 0 else size.amin(dims, keepdim)
    if ord == 0:
        return (size != 0).sum(dims, keepdim).to(size.dtype)
    if ord == 1:
        return size.sum(dims, keepdim)
    if ord == 2:
        return (size * size).sum(dims, keepdim).sqrt()
    return size.pow(ord).sum(dims, keepdim).pow(1 / ord)


def all_true(data: Tensor) -> Tensor:
    """Return whether all are true, as a check asks that traces keep (`torch._check_tensor_all`)."""
    return data.all()


def determinant(data: Tensor) -> Any:
    """Write out the determinant of a small matrix by its first rows (Laplace); the factors that it has are not read."""
    side = data.shape[-1]
    if side > MAX_DETERMINANT_SIDE:
        return NotImplemented
    # of the rows from some on, by the columns that are left
    below: dict[tuple[int, ...], Tensor] = {(): torch.ones_like(data[..., 0, 0])}
    for row in reversed(range(side)):
        found: dict[tuple[int, ...], Tensor] = {}
        for columns in itertools.combinations(range(side), side - row):
            parts = [
                data[..., row, column] * below[columns[:place] + columns[place + 1 :]] * (-1) ** place
                for place, column in enumerate(columns)
            ]
            found[columns] = torch.stack(parts).sum(0)
        below = found
    (total,) = below.values()
    return total, data, torch.zeros(data.shape[:-1], dtype=torch.int32)


def affine_places(theta: Tensor, size: list[int], align_corners: bool) -> Tensor:
    """Move the places of an image's pixels, [-1, 1] along each side, x first, by a matrix: `F.affine_grid`."""
    sides = size[2:]
    ends = [0 if side == 1 else 1 if align_corners else (side - 1) / side for side in sides]
    lines = [torch.linspace(-end, end, side, dtype=theta.dtype) for end, side in zip(ends, sides, strict=True)]
    axes = torch.meshgrid(lines, indexing="ij")
    places = torch.stack([*axes[::-1], torch.ones(sides, dtype=theta.dtype)], -1).reshape(1, -1, len(sides) + 1)
    moved: Tensor = places.expand(theta.shape[0], -1, -1) @ theta.mT
    return moved.reshape(theta.shape[0], *sides, len(sides))


def definitions() -> dict[Any, Callable[..., Any]]:
    """Return the definitions by operator."""
    return {
        aten._is_all_true.default: all_true,
        aten._linalg_det.default: determinant,
        aten._trilinear.default: trilinear,
        aten.addbmm.default: add_products,
        aten.affine_grid_generator.default: affine_places,
        aten.cummax.default: running_maximum,
        aten.cummin.default: running_minimum,
        aten.kthvalue.default: kth_smallest,
        aten.linalg_vector_norm.default: vector_norm,
        aten.logcumsumexp.default: running_log_sum,
        aten.masked_scatter.default: masked_scatter,
        aten.median.default: median,
        aten.median.dim: median_of_dimension,
        aten.put.default: put,
        aten.searchsorted.Scalar: place_in_order,
        aten.searchsorted.Tensor: places_in_order,
        aten.std_mean.correction: deviation_and_mean,
        aten.take.default: take,
        aten.var_mean.correction: variance_and_mean,
    }
