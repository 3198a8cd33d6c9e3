"""A tensor with a slice of it written anew: `x[:, 2:4] = y`, as `torch.slice_scatter` says it.

Example: `slice_scatter(data, source, axis=1, start=2, step=1)` of [1, 8] and [1, 2] is `data` but for columns 2 and 3.
"""

from __future__ import annotations

from typing import Any

from tvm import te, tirx


def slice_scatter(data: te.Tensor, source: te.Tensor, axis: int, start: int, step: int) -> te.Tensor:
    """Return `data`, with `source` in the places `start`, `start + step`, ... of an axis: as many as it has.

    TVM's own reads the source at places that it does not know to be inside, and warns the user of that.
    """
    count = int(source.shape[axis])

    def element(*at: Any) -> Any:
        place = at[axis] - start
        written = [place >= 0, place < count * step]
        if step > 1:
            written.append(tirx.floormod(place, step) == 0)
        row = place if step == 1 else tirx.floordiv(place, step)
        new = source(*at[:axis], row, *at[axis + 1 :])
        return tirx.if_then_else(tirx.all(*written), new, data(*at))

    return te.compute(data.shape, element, "slice_scatter")
