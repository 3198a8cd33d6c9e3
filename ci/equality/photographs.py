"""The photographs that networks are held on: those that there are, and views of them where they are too few.

found = photographs(Path("../shared/data"), Path("build/equality/views"), 200)
len(found.paths), found.views                  # 200, of which so many are views
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
KINDS = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Photographs:
    """Files of pictures, in an order that stays; and how many of them are views."""

    paths: tuple[Path, ...]
    views: int


def photographs(data: Path, folder: Path, count: int) -> Photographs:
    """Return `count` photographs: all of `data`, the compiler's own, and views of them, which are kept in `folder`."""
    originals = sorted(path for path in (data / "photos").rglob("*") if path.suffix.lower() in KINDS)
    originals += sorted((ROOT / "compile/ovenbird/data").glob("*.jpg"))
    originals = originals[:count]
    views = [_view(path, folder) for path in originals[: count - len(originals)]]
    # In an order that says nothing: the first ten are as mixed as all.
    paths = sorted([*originals, *views], key=lambda path: hashlib.sha256(path.name.encode()).digest())
    return Photographs(tuple(paths), len(views))


def _view(path: Path, folder: Path) -> Path:
    """Return a photograph's mirror image without its margins, another picture to a network."""
    view = folder / f"view-{path.stem}.jpg"
    if not view.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as opened:
            picture = opened.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        wide, high = picture.size
        picture.crop((wide // 8, high // 12, wide - wide // 16, high - high // 8)).save(view, quality=88)
    return view
