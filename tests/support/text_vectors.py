"""Writes the vectors of texts that every runtime must agree on (`conformance/README.md`): searches, and WordPiece.

PYTHONPATH=tests python tests/support/text_vectors.py conformance
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.generation.search import SearchSettings, search_for
from ovenbird_runtime.generation.wordpiece import WordPieces
from ovenbird_runtime.manifest.generation import Beam, Greedy
from ovenbird_runtime.manifest.schema import decode

Case = dict[str, Any]
PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "dog", "##s", "##ing", "run", "##n", "what", "is", "this", "?", ".",
    "!", ",", "'", "s", "don", "t", "e", "##e", "##a", "n", "##t", "日", "本", "ss", "ß", "-", "σ", "##ς", "##σ", "ο",
    "Cat", "é", "##é", "ᄒ", "##ᅡ", "##ᆫ", "2", "##2", "##²", "cat", "α",
]  # fmt: skip
HIDDEN = [0, 2, 3]
ENCODED = [
    "What is this?", "a cat, a dog.", "cats running", "Élan", "ÉÉ é", "don't", "日本cats", "", "   \t\n",
    "a\x00b\ufffdc", "zzz", "cat" * 40, "ΟΣ ΣΟ οσ.", "STRAẞE", "한", "x\u200dcat\u2028dog", "a\u00a0cat",
    "cat\u037e", "2\u0301 2²", "Cat", "𝐜𝐚𝐭", "ſ", "İ", "ΆΑ", "cat`dog^", "«cat»", "a\u0085cat", "豈",
]  # fmt: skip
DECODED = [
    [2, 4, 5, 3], [11, 12, 13, 14], [5, 7, 15], [20, 18, 21], [4, 5, 18, 19, 6], [9, 10, 8, 16], [], [2, 3],
    [7, 5], [999, 4], [4, 17, 5, 1], [14, 14, 7, 18, 18],
]  # fmt: skip


def searches() -> list[Case]:
    """Return searches over a table of logits: those behind n tokens that end in t are its row (7 n + t) mod rows."""
    cases: list[Case] = []
    kinds: list[Case] = [{"kind": "greedy"}]
    for beams in (2, 4):
        kinds += [{"kind": "beam", "beams": beams, "length_penalty": penalty, "early_stopping": stopping}
                  for penalty in (1.0, -0.5, 2.0) for stopping in (False, True, "never")]  # fmt: skip
    for place, kind in enumerate(kinds):
        for ngram, prompt, ends in ((0, [1], [2]), (2, [1, 4, 3], [2, 5]), (1, [1], [])):
            random = np.random.default_rng(1000 + 10 * place + ngram)
            table = random.normal(0, 2, (11, 9)).astype(np.float32)
            table[:, 2] += 1.5  # sequences of different lengths
            cases.append({
                "search": kind, "end": ends, "max_length": 8 + place % 3, "no_repeat_ngram_size": ngram,
                "prompt": prompt, "logits": [[float(one) for one in row] for row in table],
            })  # fmt: skip
    broken = [[float(one) for one in range(9)]] * 11
    head = {"end": [2], "max_length": 8, "no_repeat_ngram_size": 0, "prompt": [1]}
    for kind in kinds[:2]:
        cases.append({"search": kind, **head, "logits": [["nan", *row[1:]] for row in broken]})
    return cases


def searched(case: Case) -> list[int]:
    """Return the tokens that a search finds. Raises EngineCallFailed."""
    form: Any = Greedy if case["search"]["kind"] == "greedy" else Beam
    kind = decode(form, case["search"], "search")
    settings = SearchSettings(tuple(case["end"]), case["max_length"], case["no_repeat_ngram_size"])
    search = search_for(kind, settings, case["prompt"])
    table = np.array([[float(one) for one in row] for row in case["logits"]], np.float32)
    while not search.done:
        before = search.position + 1
        search.advance(np.stack([table[(7 * before + token) % len(table)] for token in search.tokens]))
    return list(search.result)


def all_cases() -> list[Case]:
    """Return every case with what is right."""
    found: list[Case] = []
    for case in searches():
        try:
            found.append(case | {"tokens": searched(case)})
        except OvenbirdError as error:
            found.append(case | {"error": type(error).__name__})
    for lower in (True, False):
        pieces = WordPieces(PIECES, HIDDEN, lower)
        found += [{"encode": text, "lower_case": lower, "tokens": pieces.tokens(text)} for text in ENCODED]
    pieces = WordPieces(PIECES, HIDDEN)
    return found + [{"decode": tokens, "text": pieces.text(tokens)} for tokens in DECODED]


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocabulary.json").write_text(json.dumps({"pieces": PIECES, "hidden": HIDDEN}) + "\n")
    (folder / "cases.json").write_text(json.dumps(all_cases()).replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) / "texts")
