"""Which programs of a model become whole numbers, by the tokens of its texts: for `--precision auto`.

    chosen, trials = choose_programs(("encode", "prefill", "step"), trial, 0.05)
    trials[0].agreement.share            # of all in whole numbers

All do at first. While more tokens differ than may, that program goes back to floats without which the fewest differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ovenbird.errors import VerificationFailed
from ovenbird.verify.texts import TokenAgreement


@dataclass(frozen=True)
class ProgramTrial:
    """Some programs in whole numbers, and how far the texts are those of floats."""

    programs: tuple[str, ...]
    agreement: TokenAgreement

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"int8": list(self.programs), **self.agreement.document()}


def choose_programs(
    names: Sequence[str], trial: Callable[[tuple[str, ...]], TokenAgreement], most: float
) -> tuple[tuple[str, ...], list[ProgramTrial]]:
    """Return the programs that are to be in whole numbers, and all that was tried. `trial` writes texts with some so;
    `most`: the share of tokens that may differ.

    Raises VerificationFailed where each program alone changes more.
    """
    best = ProgramTrial(tuple(names), trial(tuple(names)))
    trials = [best]
    while best.agreement.share > most:
        if len(best.programs) < 2:
            raise VerificationFailed(
                f"--precision auto: in int8 {best.programs[0]} alone changes {best.agreement.share:.1%} of the tokens, "
                f"limit {most:.1%} (--max-disagreement): calibrate on more of your own pictures (--calibrate), or "
                "compile in bf16 or f32"
            )
        fewer = [tuple(name for name in best.programs if name != left) for left in best.programs]
        tried = [ProgramTrial(some, trial(some)) for some in fewer]
        trials += tried
        best = min(tried, key=lambda one: one.agreement.share)
    return best.programs, trials
