"""Pages that walk through the code name files that are there; their order is a reader's to check."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime" / "ovenbird_runtime"
PLACES = {
    "a-network.md": ROOT / "compile" / "ovenbird",
    "a-photograph.md": RUNTIME,
    "a-request.md": RUNTIME / "serve",
    "a-tuning-record.md": ROOT / "compile" / "ovenbird",
}


def test_every_walk_is_known() -> None:
    assert {page.name for page in (ROOT / "docs" / "explanation").glob("a-*.md")} == set(PLACES)


@pytest.mark.parametrize("name", PLACES)
def test_every_file_of_a_walk_is_there(name: str) -> None:
    page = (ROOT / "docs" / "explanation" / name).read_text(encoding="utf-8")
    named = re.findall(r"`([\w./]+(?:\.py|/))`", page)
    assert len(named) > 15
    gone = []
    for path in dict.fromkeys(named):
        above = path.startswith("../")
        places = (RUNTIME / path.removeprefix("../"),) if above else (PLACES[name] / path, ROOT / path)
        if not any(place.exists() for place in places):
            gone.append(path)
    assert gone == []
