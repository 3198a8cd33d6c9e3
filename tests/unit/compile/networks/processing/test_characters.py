"""The characters of a network that reads lines: from a file, or from the network's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovenbird.errors import UsageError
from ovenbird.networks.processing.characters import BLANK, characters_of


@pytest.mark.parametrize(
    ("classes", "found"),
    [(3, (BLANK, "b", "\u3000")), (4, (BLANK, "a", "b", "\u3000")), (5, (BLANK, "a", "b", "\u3000", " "))],
)
def test_the_first_class_is_none_and_a_space_the_last(tmp_path: Path, classes: int, found: tuple[str, ...]) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("a\r\nb\n\u3000\n", "utf-8")
    assert characters_of(file, {}, classes) == found
    assert characters_of(None, {"character": "a\nb\n\u3000\n"}, classes) == found


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 characters, the network has 9 classes"):
        characters_of(None, {"character": "a\nb\nc"}, 9)
    with pytest.raises(UsageError, match="give them, one a line: --labels FILE"):
        characters_of(None, {}, 3)
