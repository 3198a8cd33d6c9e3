"""What a compiled detector hands to non-maximum suppression: the best rows of all it saw, as boxes, scores, classes.

    best = BestRows.of(scores, count=300)           # scores [N, rows]
    boxes = best.take(boxes)                    # [N, rows, 4] -> [N, 300, 4]
    answer(boxes, best.scores, best.take(classes))

To choose first and decode then costs `exp` and products for hundreds of boxes, not for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ovenbird.limits import MAX_CANDIDATES


@dataclass(frozen=True)
class BestRows:
    """The rows with the highest scores, in falling order."""

    scores: torch.Tensor
    places: torch.Tensor
    """[N, count]: the numbers of the rows."""

    @classmethod
    def of(cls, scores: torch.Tensor, count: int = MAX_CANDIDATES) -> BestRows:
        """Choose `count` rows, or all where there are fewer, by `scores` [N, rows]."""
        found, places = torch.topk(scores, min(count, scores.shape[1]), dim=1)
        return cls(found, places)

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what `rows` [N, rows] or [N, rows, numbers] holds in the chosen ones."""
        if rows.ndim == 2:
            return torch.gather(rows, 1, self.places)
        return torch.gather(rows, 1, self.places[:, :, None].expand(-1, -1, rows.shape[2]))

    def of_table(self, table: torch.Tensor) -> torch.Tensor:
        """Return what a table [rows, numbers], the same for all images, holds for the chosen rows."""
        return table[self.places]


def corners(centres: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Return left, top, right, bottom of boxes given by centres and sizes, both [..., 2]."""
    half = sizes * 0.5
    return torch.cat((centres - half, centres + half), -1)


def answer(boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a detector's outputs by the names and in the dtypes that the manifest's answer `boxes` has."""
    return {"boxes": boxes.float(), "scores": scores.float(), "classes": classes.to(torch.int32)}
