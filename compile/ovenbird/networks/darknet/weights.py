"""darknet's `.weights`: a header of a few numbers, then every layer's float32 numbers in the order of the `.cfg`.

    weights = WeightsFile.read(Path("net.weights"))
    bias = weights.take((16,), "net.cfg:20: [convolutional]")
    weights.check_empty()

The header (parser.c, load_weights_upto): major, minor and revision as int32, then how many images were seen: int64 from
version 0.2 on, int32 before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.errors import WeightsMismatch, WeightsUnreadable
from ovenbird.limits import MAX_DARKNET_PARAMETERS
from ovenbird.networks.files.state_dicts import check_file

HEADER_BYTES = 20


@dataclass
class WeightsFile:
    """The numbers of a file, and how many of them were taken."""

    name: str
    numbers: Any
    taken: int = field(default=0)

    @classmethod
    def read(cls, path: Path) -> WeightsFile:
        """Read a file. Raises WeightsUnavailable, WeightsUnreadable."""
        check_file(path)
        size = path.stat().st_size
        if size > HEADER_BYTES + 4 * MAX_DARKNET_PARAMETERS:
            raise WeightsUnreadable(f"weights {path}: {size} bytes, limit {4 * MAX_DARKNET_PARAMETERS}")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise WeightsUnreadable(f"weights {path}: {error.strerror}") from None
        if len(data) < HEADER_BYTES:
            raise WeightsUnreadable(f"weights {path}: {len(data)} bytes, a darknet .weights has a header of 16 to 20")
        major, minor, _ = (int(number) for number in np.frombuffer(data, "<i4", 3))
        if not (0 <= major < 1000 and 0 <= minor < 1000):
            raise WeightsUnreadable(
                f"weights {path}: not a darknet .weights: its header says version {major}.{minor}, expected 0.1 or 0.2"
            )
        header = HEADER_BYTES if major * 10 + minor >= 2 else HEADER_BYTES - 4
        if (len(data) - header) % 4:
            raise WeightsUnreadable(f"weights {path}: {len(data)} bytes are no whole float32 numbers; it was cut off")
        return cls(str(path), np.frombuffer(data, "<f4", offset=header))

    def take(self, shape: Sequence[int], where: str) -> Any:
        """Return the next numbers as an array. Raises WeightsMismatch where they run out or are not finite."""
        count = math.prod(shape)
        found = self.numbers[self.taken : self.taken + count]
        if found.size < count:
            raise WeightsMismatch(
                f"weights {self.name} hold {self.numbers.size} numbers and end within {where}, which takes numbers "
                f"{self.taken} to {self.taken + count}: they belong to another .cfg, or were cut off"
            )
        if not np.isfinite(found).all():
            raise WeightsMismatch(f"weights {self.name} hold NaN or infinity in {where}")
        self.taken += count
        return found.reshape(shape).copy()

    def check_empty(self) -> None:
        """Refuse a file that holds more than its network takes. Raises WeightsMismatch."""
        rest = self.numbers.size - self.taken
        if rest:
            raise WeightsMismatch(
                f"weights {self.name} hold {self.numbers.size} numbers, the .cfg takes {self.taken}: they belong to "
                "another .cfg (other classes or filters?)"
            )
