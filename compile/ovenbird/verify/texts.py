"""Whose tokens are whose: texts of code of low precision next to those of the framework itself.

    agreement_of(ours, those_of_torch, begin=1).share

Behind the first token that differs, two texts go on from other words, so that nothing behind it is compared: what is
counted is how often the next token differs where all before it are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class TokenAgreement:
    """How many texts are the same to the last token; how many tokens were compared, and how many of them differ."""

    texts: int = 0
    same: int = 0
    compared: int = 0
    differ: int = 0

    def add(self, own: Sequence[int], right: Sequence[int], begin: int) -> None:
        """Count a text; the first `begin` tokens were given."""
        pairs = list(zip(own, right, strict=False))[begin:]
        alike = next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
        whole = alike == len(pairs) and len(own) == len(right)
        self.texts += 1
        self.same += whole
        self.compared += alike + (not whole)
        self.differ += not whole

    @property
    def share(self) -> float:
        """The share of the compared tokens that differ."""
        return self.differ / max(self.compared, 1)

    def line(self) -> str:
        """Return it in words."""
        return (
            f"{self.same} of {self.texts} are the framework's to the last token; of {self.compared} tokens behind the "
            f"same ones {self.differ} differ ({self.share:.1%})"
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"texts": self.texts, "same": self.same, "compared": self.compared, "differ": self.differ}


def agreement_of(texts: Sequence[Sequence[int]], right: Sequence[Sequence[int]], begin: int) -> TokenAgreement:
    """Compare the texts of the first pictures with the right ones; each begins with `begin` given tokens."""
    found = TokenAgreement()
    for own, other in zip(texts, right, strict=False):
        found.add(own, other, begin)
    return found
