"""Searches for the tokens of one text, fed with logits step by step: greedy, and with beams.

    search = search_for(Beam(beams=4), settings, (101,))
    while not search.done:
        logits = ...                            # float32 [search.rows, V]: after search.tokens, at search.position
        parents = search.advance(logits)        # row i of the next step goes on from row parents[i] of this one
    search.result                               # (101, 1037, 4937, 102)

What they choose is what Hugging Face's `generate` chooses (transformers 5, `generation/utils.py`: `_sample` without
sampling, `_beam_search`; `NoRepeatNGramLogitsProcessor`). Written by hand: a target has numpy only.

A prompt is fed a token at a time, and logits before its end choose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..dataclass import dataclass
from ..errors import EngineCallFailed
from ..manifest.generation import Beam, Greedy
from ..tensors.arrays import Array

NEVER = -1.0e9
"""A score that loses to all others, as in transformers."""


@dataclass(frozen=True)
class SearchSettings:
    """What all searches keep to: tokens that end a text, how long one may be, and what may not come twice."""

    end: tuple[int, ...]
    max_length: int
    no_repeat_ngram_size: int = 0


class TokenSearch(Protocol):
    """The search for one text."""

    @property
    def rows(self) -> int:
        """How many sequences go on."""

    @property
    def tokens(self) -> list[int]:
        """The last token of each, which is to be fed next."""

    @property
    def position(self) -> int:
        """How many tokens come before it."""

    @property
    def done(self) -> bool:
        """Whether the result stands."""

    @property
    def result(self) -> tuple[int, ...]:
        """The best tokens so far, the prompt among them."""

    def advance(self, logits: Array) -> list[int]:
        """Choose by the logits float32 [rows, V] that follow `tokens`; return each next row's parent among them."""


def search_for(kind: Greedy | Beam, settings: SearchSettings, prompt: Sequence[int]) -> TokenSearch:
    """Return the search of a kind, from a prompt of at least one token and less than `max_length`."""
    return GreedySearch(settings, prompt) if isinstance(kind, Greedy) else BeamSearch(kind, settings, prompt)


class GreedySearch:
    """The most probable token at each step."""

    rows = 1

    def __init__(self, settings: SearchSettings, prompt: Sequence[int]) -> None:
        self._settings, self._prompt = settings, list(prompt)
        self._found: list[int] = []
        self.position = 0
        self.done = False

    @property
    def tokens(self) -> list[int]:
        """The token to feed."""
        return [(self._prompt + self._found)[self.position]]

    @property
    def result(self) -> tuple[int, ...]:
        """All tokens."""
        return (*self._prompt, *self._found)

    def advance(self, logits: Array) -> list[int]:
        """Take the most probable token, the first of equal ones. Raises EngineCallFailed for NaN."""
        self.position += 1
        if self.position < len(self._prompt):
            return [0]
        scores = without_repeats(logits[:1], [self.result], self._settings.no_repeat_ngram_size)
        token = int(scores[0].argmax())
        check_number(float(scores[0, token]))
        self._found.append(token)
        length = len(self._prompt) + len(self._found)
        self.done = token in self._settings.end or length >= self._settings.max_length
        return [0]


class BeamSearch:
    """The best of `beams` sequences, whole or open, as `_beam_search` keeps them."""

    def __init__(self, kind: Beam, settings: SearchSettings, prompt: Sequence[int]) -> None:
        self._kind, self._settings = kind, settings
        self._prompt = tuple(prompt)
        self._open: list[tuple[int, ...]] = [self._prompt]
        self._scores = [0.0]
        self._whole: list[tuple[float, bool, tuple[int, ...]]] = [(NEVER, False, self._prompt)] * kind.beams
        """The best so far: score, whether it ended, tokens."""
        self._may_improve = True
        self.position = 0
        self.done = False

    @property
    def rows(self) -> int:
        """One until the first token is chosen: all beams begin alike."""
        return len(self._open)

    @property
    def tokens(self) -> list[int]:
        """The last token of each open sequence, or one of the prompt."""
        return [sequence[self.position] for sequence in self._open]

    @property
    def result(self) -> tuple[int, ...]:
        """The best whole sequence; before there is one, the best open one."""
        return self._whole[0][2] if self._whole[0][1] else self._open[0]

    def advance(self, logits: Array) -> list[int]:
        """Choose the next beams. Raises EngineCallFailed for NaN."""
        self.position += 1
        if self.position < len(self._prompt):
            return [0]
        beams, ends = self._kind.beams, self._settings.end
        scores = without_repeats(log_softmax(logits[: self.rows]), self._open, self._settings.no_repeat_ngram_size)
        first = self._scores + [NEVER] * (beams - self.rows)  # alike beams: all but one lose
        scores = np.concatenate([scores, np.repeat(scores[:1], beams - self.rows, axis=0)])
        totals = (scores + np.asarray(first, np.float32)[:, None]).reshape(-1)
        best = best_places(totals, max(2, 1 + len(ends)) * beams)
        check_number(float(totals[best[0]]))
        vocabulary = scores.shape[1]
        parents = [int(place) // vocabulary % self.rows for place in best]
        grown = [(*self._open[parent], int(place) % vocabulary) for parent, place in zip(parents, best, strict=True)]
        full = len(grown[0]) >= self._settings.max_length
        over = [full or sequence[-1] in ends for sequence in grown]
        found = totals[best]
        self._keep_whole(grown, found, over)
        lowered = found + np.asarray(over, np.float32) * np.float32(NEVER)
        chosen = [int(place) for place in best_places(lowered, beams)]
        self._open = [grown[place] for place in chosen]
        self._scores = [float(lowered[place]) for place in chosen]
        self._see_end(all(over))
        return [parents[place] for place in chosen]

    def _keep_whole(self, grown: list[tuple[int, ...]], found: Array, over: list[bool]) -> None:
        """Put sequences that ended, of the best `beams`, among the whole ones."""
        beams = self._kind.beams
        full = all(ended for _, ended, _ in self._whole) and self._kind.early_stopping is True
        length = np.float32((len(grown[0]) - len(self._prompt)) ** self._kind.length_penalty)
        scores = found / length
        for add in (full, not self._may_improve):
            scores = scores + np.float32(NEVER if add else 0.0)
        counted = [ended and place < beams for place, ended in enumerate(over)]
        scores = scores + np.asarray([0.0 if one else NEVER for one in counted], np.float32)
        merged = [*self._whole, *zip(map(float, scores), counted, grown, strict=True)]
        order = sorted(range(len(merged)), key=lambda place: (-merged[place][0], place))
        self._whole = [merged[place] for place in order[:beams]]

    def _see_end(self, none_open: bool) -> None:
        """Find out whether an open sequence may still win."""
        kind, length = self._kind, len(self._open[0])
        if kind.early_stopping == "never" and kind.length_penalty > 0.0:
            length = self._settings.max_length
        possible = self._scores[0] / (length - len(self._prompt)) ** kind.length_penalty
        least = min(score for score, _, _ in self._whole)
        worst = [least if ended else NEVER for _, ended, _ in self._whole]
        self._may_improve = self._may_improve and any(possible > score for score in worst)
        enough = all(ended for _, ended, _ in self._whole) and kind.early_stopping is True
        self.done = not self._may_improve or enough or none_open


def without_repeats(scores: Array, sequences: Sequence[Sequence[int]], size: int) -> Array:
    """Return the scores [rows, V], minus infinity where a token would repeat `size` tokens of its row's sequence."""
    if size == 0:
        return scores
    scores = scores.copy()
    for row, sequence in zip(scores, sequences, strict=True):
        last = tuple(sequence[len(sequence) + 1 - size :]) if size > 1 else ()
        for start in range(len(sequence) + 1 - size):
            if tuple(sequence[start : start + size - 1]) == last:
                row[sequence[start + size - 1]] = -np.inf
    return scores


def log_softmax(logits: Array) -> Array:
    """Return the logarithms of the softmax of float32 [rows, V]."""
    moved = logits - logits.max(axis=-1, keepdims=True)
    result: Array = moved - np.log(np.exp(moved).sum(axis=-1, keepdims=True, dtype=np.float32))
    return result


def best_places(scores: Array, count: int) -> Array:
    """Return where the `count` largest of [K] stand, the largest first, the first of equal ones first."""
    count = min(count, len(scores))
    found = np.argpartition(-scores, count - 1)[:count]
    order: Array = found[np.lexsort((found, -scores[found]))]
    return order


def check_number(score: float) -> None:
    """Refuse the best of scores that are no numbers. Raises EngineCallFailed."""
    if score != score or score in (float("inf"), float("-inf")):
        raise EngineCallFailed(f"the best token's score is {score}: the model's numbers overflow")
