"""What texts take of the machine's time, as things have gone of late: a picture's, and that of each token.

costs = timed(writer, picture)      # by itself
costs.began(0.31)                   # a picture took so long
costs.stepped(0.012, 8)             # so did a step of eight texts at once
costs.seconds(64, 20)               # an estimate: 64 texts of 20 tokens

Texts that are written at once share a step, so that a token costs less the more there are; pictures share nothing. A
mean of whole texts would say neither: the first text of a burst ends when the pictures of all have been looked at.
"""

from __future__ import annotations

import time

from ...generation.writer import TextWriter
from ...tensors.arrays import Array
from .batching import Costs

OF_PICTURE, OF_STEP = 0.3, 0.1
"""How much of what each took last goes into the estimate of the next; of steps there are many to a picture."""


class TextCosts(Costs):
    """Seconds of a picture and of one text's part in a step; one thread takes note, others read. As `Costs`: what the
    text that was timed took by itself.
    """

    def __init__(self, picture: float, token: float, tokens: int) -> None:
        """Begin with what a text of so many tokens took by itself."""
        self.picture, self.token, self._tokens = picture, token, tokens
        super().__init__({1: self.seconds(1, tokens) * 1e3}, 1)

    @property
    def slowdown(self) -> float:
        """What the text that was timed would take of late, against what it took."""
        return self.seconds(1, self._tokens) * 1e3 / self.table[1]

    def began(self, seconds: float) -> None:
        """Take note of a picture."""
        self.picture += OF_PICTURE * (seconds - self.picture)

    def stepped(self, seconds: float, texts: int) -> None:
        """Take note of a step that took so many texts one token further."""
        self.token += OF_STEP * (seconds / texts - self.token)

    def seconds(self, texts: int, tokens: int) -> float:
        """Estimate how long texts of at most so many tokens each take all processors."""
        return texts * (self.picture + tokens * self.token)


def timed(writer: TextWriter, picture: Array) -> TextCosts:
    """Time a text for a picture [1, ...] twice: the first pages code and weights in. Raises EngineError."""
    pictures, tokens, steps = zip(*(_parts(writer, picture) for _ in range(2)), strict=True)
    return TextCosts(min(pictures), min(tokens), min(steps))


def _parts(writer: TextWriter, picture: Array) -> tuple[float, float, int]:
    """Return what the picture took, what each step, and how many there were."""
    generator, steps = writer.generator, 0
    start = time.perf_counter()
    (prepared,) = generator.prepare(picture)
    between = time.perf_counter()
    generator.begin(prepared, writer.request())
    while generator.texts:
        for text in generator.step():
            if text.failure is not None:
                raise text.failure
        steps += 1
    return between - start, (time.perf_counter() - between) / steps, steps
