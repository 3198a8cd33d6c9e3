"""Writes the tables of characters that the C++ runtime's tokenizer reads (`runtime/cpp/src/generation/unicode.cpp`).

PYTHONPATH=tests python tests/support/unicode_data.py runtime/cpp/src/generation/unicode_data.inc
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ovenbird_runtime.generation.wordpiece import CONTROLS, _is_ideograph, _is_punctuation, _without_accents

SPACE, DROPPED, PUNCTUATION, IDEOGRAPH = range(4)
HANGUL = range(0xAC00, 0xD7A4)
"""Syllables, whose parts are computed."""


def number(value: int) -> bytes:
    """Return a whole number in seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def signed(value: int) -> bytes:
    """Return a number whose sign is its lowest bit."""
    return number(value * 2 if value >= 0 else -value * 2 - 1)


def kind_of(character: str) -> int | None:
    category = unicodedata.category(character)
    if character in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
        return SPACE
    if ord(character) in (0, 0xFFFD) or category in CONTROLS:
        return DROPPED
    if _is_punctuation(character):
        return PUNCTUATION
    return IDEOGRAPH if _is_ideograph(character) else None


def characters() -> Iterator[str]:
    return (chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)


def kinds() -> bytes:
    """Return ranges: what lies between the last one and this, times four plus its kind, and its length."""
    ranges: list[list[int]] = []
    for character in characters():
        kind, code = kind_of(character), ord(character)
        if kind is None:
            continue
        if ranges and ranges[-1][1] == code and ranges[-1][2] == kind:
            ranges[-1][1] = code + 1
        else:
            ranges.append([code, code + 1, kind])
    found, last = bytearray(), 0
    for start, end, kind in ranges:
        found += number((start - last) * 4 + kind) + number(end - start)
        last = end
    return bytes(found)


def plain() -> bytes:
    """Return runs: what lies before; the count; the steps of sources and targets, and how many targets there are; then
    each first target's distance from the first source.
    """
    pairs = []
    for character in characters():
        targets = [ord(one) for one in _without_accents(character.lower())]
        if ord(character) not in HANGUL and targets != [ord(character)]:
            pairs.append((ord(character), targets))
    found, last, place = bytearray(), 0, 0
    while place < len(pairs):
        start, first = pairs[place]
        count, steps = max(_runs(pairs, place), key=lambda run: run[0])
        found += number(start - last) + number(count) + bytes([steps[0] - 1 + steps[1] * 2 + len(first) * 8])
        found += b"".join(signed(target - start) for target in first)
        last, place = start + (count - 1) * steps[0] + 1, place + count
    return bytes(found)


def _runs(pairs: list[tuple[int, list[int]]], place: int) -> Iterator[tuple[int, tuple[int, int]]]:
    start, first = pairs[place]
    for source in (1, 2):
        for step in (0, 1, 2) if len(first) == 1 else (0,):
            count = 1
            while place + count < len(pairs) and pairs[place + count] == (
                start + count * source, [one + count * step for one in first],
            ):  # fmt: skip
                count += 1
            yield count, (source, step)


def array(name: str, data: bytes) -> str:
    rows = [", ".join(map(str, data[start : start + 28])) for start in range(0, len(data), 28)]
    return f"const unsigned char {name}[] = {{\n    " + ",\n    ".join(rows) + ",\n};\n"


def text() -> str:
    """Return the file's text."""
    version = unicodedata.unidata_version
    head = f"// Written by tests/support/unicode_data.py: Unicode {version}, which unicode.cpp reads.\n"
    return head + array("KINDS", kinds()) + array("PLAIN", plain())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())
