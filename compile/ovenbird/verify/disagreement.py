"""What `--max-disagreement` refuses: code of low precision that gives too many photographs another answer, or whose
texts have too many other tokens.

check_disagreement("host-int8", "main", verification, 0.01, lambda: "conv2d 3 of 54")    # raises VerificationFailed
"""

from __future__ import annotations

from collections.abc import Callable

from ovenbird.errors import VerificationFailed
from ovenbird.verify.verifying import Verification

ROUNDING = 1e-9
"""Of a share: one photograph of a hundred is not more than 1 %."""


def check_disagreement(
    variant: str, program: str, found: Verification, most: float, noisiest: Callable[[], str]
) -> None:
    """Refuse a variant that answers more than a share `most` of its inputs otherwise than the network; `noisiest`
    names its layer that adds the most noise, "" where nobody knows.

    Raises VerificationFailed.
    """
    same, what = (None, "") if found.agreement is None else (found.agreement.top1, "most probable classes")
    if found.texts is not None:
        same, what = 1 - found.texts.share, "tokens"
    if same is None and found.boxes is not None and found.boxes[0]:
        same, what = found.boxes[1] / found.boxes[0], "boxes"
    if same is None:
        raise VerificationFailed(
            f"{variant}: --max-disagreement counts classes, boxes and tokens, the program {program} answers with none "
            "of them; --tolerance bounds its errors"
        )
    if 1 - same > most + ROUNDING:
        name = noisiest()
        layer = f"; the layer that adds the most noise is {name}" if name else ""
        raise VerificationFailed(
            f"{variant} disagrees with the network in {1 - same:.1%} of its {what}, limit {most:.1%} "
            f"(--max-disagreement){layer}; calibrate on more of your own pictures (--calibrate), or compile in f32"
        )
