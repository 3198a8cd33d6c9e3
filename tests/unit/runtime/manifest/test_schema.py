"""Strict decoding of JSON into dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from ovenbird_runtime.errors import ManifestInvalid
from ovenbird_runtime.manifest.schema import Count, Json, Range, Text, decode, dump, encode, parse


@dataclass(frozen=True)
class Circle:
    kind: Literal["circle"] = "circle"
    radius: float = 1.0


@dataclass(frozen=True)
class Square:
    kind: Literal["square"] = "square"
    side: float = 1.0


@dataclass(frozen=True)
class Page:
    title: Annotated[str, Text(r"[a-z]+", 8)]
    number: Annotated[int, Range(1, 9)]
    shapes: Annotated[tuple[Circle | Square, ...], Count(0, 2)] = ()
    names: Annotated[dict[str, bool], Count(0, 2, Text(r"[a-z]", 1))] | None = None
    dim: int | Literal["N"] = 1
    extra: Json = None


GOOD = {"title": "abc", "number": 3, "shapes": [{"kind": "square", "side": 2}], "names": {"a": True}, "dim": "N"}


def test_what_is_encoded_is_decoded_alike() -> None:
    page = decode(Page, GOOD, "page")
    assert page == Page("abc", 3, (Square(side=2.0),), {"a": True}, "N")
    assert decode(Page, parse(dump(encode(page)), "page"), "page") == page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": "ABC"}, "page.title is 'ABC', expected text like [a-z]+"),
        ({"title": "abcabcabc"}, "page.title has 9 characters, limit 8"),
        ({"title": "abc\n"}, "page.title"),
        ({"title": 3}, "page.title is 3, expected a string"),
        ({"number": 10}, "page.number is 10, expected 1 to 9"),
        ({"number": True}, "page.number is True, expected a whole number"),
        ({"number": 3.0}, "page.number is 3.0, expected a whole number"),
        ({"shapes": [{"kind": "circle"}] * 3}, "page.shapes has 3 items, expected 0 to 2"),
        ({"shapes": [{"kind": "oval"}]}, "page.shapes[0].kind is 'oval', expected one of circle, square"),
        ({"shapes": [{"kind": "circle", "side": 1}]}, "page.shapes[0] has an unknown field 'side'"),
        ({"shapes": ["circle"]}, "page.shapes[0].kind is None"),
        ({"shapes": [{"kind": "circle", "radius": 10**400}]}, "expected a number of 64 bits"),
        ({"names": {"AB": True}}, "a name in page.names"),
        ({"names": {"a": 1}}, "expected true or false"),
        ({"names": []}, "page.names is [], expected an object"),
        ({"dim": "M"}, "page.dim"),
        ({"extra": [{"a": float("inf")}]}, "expected a finite number"),
        ({"wrong": 1}, "page has an unknown field 'wrong'"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(change: dict[str, object], words: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        decode(Page, GOOD | change, "page")
    assert words in str(caught.value)


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(ManifestInvalid, match="page lacks the field 'number'"):
        decode(Page, {"title": "abc"}, "page")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a": ' * 50_000,
        b"1" * 5000,
        b'"\xed\xa0\x80"',
    ],
)
def test_parse_refuses(data: bytes) -> None:
    with pytest.raises(ManifestInvalid, match="not JSON that can be read"):
        parse(data, "x")
