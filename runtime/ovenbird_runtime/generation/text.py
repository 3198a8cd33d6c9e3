"""What a user may ask of a text, and gets.

request = text_request(loop, pieces, prompt="what is this", beams=4, widest=16)
text_of(pieces, (101, 1037, 4937, 102), loop)           # TextAnswer("a cat", (101, 1037, 4937, 102), "end")
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dataclass import dataclass
from ..errors import WrongOption
from ..manifest.generation import Beam, Greedy, TextLoop
from ..postprocess.text import TextAnswer
from .search import SearchSettings
from .wordpiece import WordPieces


@dataclass(frozen=True)
class TextRequest:
    """How one text is searched for: what is fed before it, and the search with its settings."""

    prompt: tuple[int, ...]
    kind: Greedy | Beam
    settings: SearchSettings

    @property
    def width(self) -> int:
        """How many sequences it takes at a time."""
        return self.kind.beams if isinstance(self.kind, Beam) else 1

    @property
    def steps(self) -> int:
        """How many steps it takes at most: every token but the last is fed."""
        return self.settings.max_length - 1


def text_request(
    loop: TextLoop,
    pieces: WordPieces,
    prompt: str | None = None,
    max_tokens: int | None = None,
    beams: int | None = None,
    widest: int = 1,
) -> TextRequest:
    """Return the model's own way to a text, changed by what was asked for: a text that it is to go on from, fewer
    tokens behind that, another number of beams, `widest` at most.

    Raises WrongOption.
    """
    tokens = (*loop.begin, *(pieces.tokens(prompt) if prompt else ()))
    if len(tokens) >= loop.max_length:
        raise WrongOption(f"the prompt has {len(tokens)} tokens, the model takes {loop.max_length - 1}: shorten it")
    length = loop.max_length if max_tokens is None else min(loop.max_length, len(tokens) + max_tokens)
    kind = loop.search if beams is None else _with_beams(loop.search, beams)
    found = TextRequest(tokens, kind, SearchSettings(loop.end, length, loop.no_repeat_ngram_size))
    if found.width > widest:
        raise WrongOption(f"beams is {found.width}, the model was compiled for {widest} sequences at a time")
    return found


def _with_beams(search: Greedy | Beam, beams: int) -> Greedy | Beam:
    if beams == 1:
        return Greedy()
    penalty, stopping = (
        (search.length_penalty, search.early_stopping) if isinstance(search, Beam) else (1.0, Beam.early_stopping)
    )
    return Beam(beams=beams, length_penalty=penalty, early_stopping=stopping)


def text_of(pieces: WordPieces, tokens: Sequence[int], loop: TextLoop) -> TextAnswer:
    """Return the answer of a search that is done."""
    return TextAnswer(pieces.text(tokens), tuple(tokens), "end" if tokens[-1] in loop.end else "length")
