"""A file takes another's place whole, or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ovenbird.replacing import replacing


def write_half(path: Path) -> None:
    with replacing(path) as partial:
        partial.write_text("ne")
        raise OSError("no room")


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(OSError, match="no room"):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_share_what_they_write(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    def write_another() -> None:
        with replacing(path) as other:
            other.write_text("two")

    with replacing(path) as partial:
        partial.write_text("one")
        thread = threading.Thread(target=write_another)
        thread.start()
        thread.join()
        assert path.read_text() == "two"
    assert path.read_text() == "one"
