"""Sliding windows as Relax's operators describe them.

Example: `conv2d_window(call.attrs, kernel.shape, data.padding)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovenbird.operators.conv2d import Window


def conv2d_window(attrs: Any, kernel: Sequence[int], border: Sequence[int]) -> Window:
    """Return the window of a convolution with an OIHW `kernel` shape, the data's own `border` taken into its padding.

    `border`: (top, left, bottom, right), as the attributes' padding.
    """
    top, left, bottom, right = (int(p) + more for p, more in zip(attrs.padding, border, strict=True))
    return Window(
        kernel=(kernel[2], kernel[3]),
        stride=(int(attrs.strides[0]), int(attrs.strides[1])),
        padding=(top, left, bottom, right),
        dilation=(int(attrs.dilation[0]), int(attrs.dilation[1])),
    )
