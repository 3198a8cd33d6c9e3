"""BERT's WordPiece without transformers: tokens to text as its tokenizer decodes them, and a prompt to tokens.

    pieces = WordPieces(lines, hidden={0, 101, 102})
    pieces.text((101, 1037, 4937, 102))          # "a cat"
    pieces.tokens("What is this?")               # [2054, 2003, 2023, 1029]

Text is what `BertTokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True)` gives. A prompt
is split as its BasicTokenizer splits (Devlin et al. 2019, `tokenization.py`), then by the longest pieces that fit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence

CLEANED = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"),
    (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip
"""What transformers' `clean_up_tokenization` replaces, in its order."""
UNKNOWN = "[UNK]"
LONGEST_WORD = 100
"""Characters beyond which a word is unknown."""
CJK = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
"""Ideographs, each a word."""
CONTROLS = ("Cc", "Cf", "Co")
"""Unicode's categories that no word keeps; characters that it does not know stay."""


class WordPieces:
    """A vocabulary of pieces, by their numbers."""

    def __init__(self, pieces: Sequence[str], hidden: Collection[int] = (), lower_case: bool = True) -> None:
        self._pieces = tuple(pieces)
        self._hidden = frozenset(hidden)
        self._lower_case = lower_case
        self._numbers = {piece: number for number, piece in enumerate(self._pieces)}

    def text(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens; a number beyond the vocabulary is unknown."""
        pieces = [self._piece(token) for token in tokens if token not in self._hidden]
        text = " ".join(pieces).replace(" ##", "").strip()
        for found, instead in CLEANED:
            text = text.replace(found, instead)
        return text

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, without any for its begin or end."""
        return [number for word in self._words(text) for number in self._split(word)]

    def _piece(self, token: int) -> str:
        return self._pieces[token] if 0 <= token < len(self._pieces) else UNKNOWN

    def _words(self, text: str) -> list[str]:
        """Split at spaces, punctuation and ideographs; control characters are left out."""
        kept = []
        for character in text:
            kind = unicodedata.category(character)
            if character in "\t\n\r" or kind == "Zs":
                kept.append(" ")
            elif ord(character) not in (0, 0xFFFD) and kind not in CONTROLS:
                kept.append(f" {character} " if _is_ideograph(character) else character)
        words = []
        for word in "".join(kept).split():
            plain = _without_accents(word.lower()) if self._lower_case else word
            parts = "".join(f" {one} " if _is_punctuation(one) else one for one in plain)
            words += parts.split()
        return words

    def _split(self, word: str) -> list[int]:
        """Return the longest pieces that make the word, from its begin; the unknown token where none do."""
        unknown = [self._numbers[UNKNOWN]] if UNKNOWN in self._numbers else []
        if len(word) > LONGEST_WORD:
            return unknown
        found, start = [], 0
        while start < len(word):
            head = "##" if start else ""
            stops = range(len(word), start, -1)
            stop = next((one for one in stops if head + word[start:one] in self._numbers), None)
            if stop is None:
                return unknown
            found.append(self._numbers[head + word[start:stop]])
            start = stop
        return found


def _without_accents(word: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", word) if unicodedata.category(one) != "Mn")


def _is_punctuation(character: str) -> bool:
    """Return True for what Unicode calls punctuation, and all of ASCII that is neither letter, digit nor space."""
    code = ord(character)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(character).startswith("P")


def _is_ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in CJK)
