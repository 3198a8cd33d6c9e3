"""Pieces to text and back; texts were taken from transformers' BertTokenizer with BERT's own vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovenbird_runtime.generation.wordpiece import WordPieces

SPECIAL = (0, 100, 101, 102, 103)


@pytest.fixture(scope="module")
def bert(test_data: Path) -> WordPieces:
    lines = (test_data / "captions" / "bert-base-uncased-vocab.txt").read_text("utf-8").removesuffix("\n")
    return WordPieces(lines.split("\n"), SPECIAL)


@pytest.mark.parametrize(
    ("prompt", "tokens", "text"),
    [
        ("What is on the bed?", [2054, 2003, 2006, 1996, 2793, 1029], "what is on the bed?"),
        ("the dog's bone, isn't it", [1996, 3899, 1005, 1055, 5923, 1010, 3475, 1005, 1056, 2009],
         "the dog's bone, isn't it"),
        ("\u00e9l\u00e8ve  \u4e2d\u6587 na\u00efve\tco-op", [3449, 18697, 1746, 1861, 15743, 2522, 1011, 6728],
         "eleve \u4e2d \u6587 naive co - op"),
        ("3.14% foo@bar", [1017, 1012, 2403, 1003, 29379, 1030, 3347], "3. 14 % foo @ bar"),
        ("\u05cb ok\u0000\u200b", [7929], "ok"),
        ("", [], ""),
    ],
)  # fmt: skip
def test_as_transformers(bert: WordPieces, prompt: str, tokens: list[int], text: str) -> None:
    found = bert.tokens(prompt)
    assert [token for token in found if token not in SPECIAL] == tokens
    assert bert.text([101, *found, 102]) == text


def test_what_is_unknown() -> None:
    pieces = WordPieces(["[UNK]", "a", "##b"])
    assert pieces.tokens("ab") == [1, 2]
    assert pieces.tokens("abc") == [0]
    assert pieces.tokens("a" * 101) == [0]
    assert pieces.text([1, 2, 7]) == "ab [UNK]"
    assert WordPieces(["a"]).tokens("b") == []


def test_a_vocabulary_may_have_capitals() -> None:
    assert WordPieces(["A", "a"], lower_case=False).tokens("A a") == [0, 1]
