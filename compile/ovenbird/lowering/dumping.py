"""`--dump-code relax,tir,ll,asm`: which forms of the code are kept for people to read.

The builder writes every form into one folder; those of other kinds than those asked for are removed again, and nothing
else that may lie there.

    kinds = parse_kinds("relax,asm")
    keep_kinds(Path("artifacts/resnet50.code/host"), kinds)
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast, get_args

from ovenbird.errors import UsageError, suggest

DumpKind = Literal["relax", "tir", "ll", "asm", "cu"]
FILES: dict[str, DumpKind] = {
    "lowered.relax": "relax",
    "scheduled.tir": "tir",
    "model.ll": "ll",
    "model.asm": "asm",
    "model.cu": "cu",
}


def parse_kinds(text: str | None) -> tuple[DumpKind, ...]:
    """Read the value of `--dump-code`. Raises UsageError for a kind that there is not."""
    kinds = [kind.strip() for kind in (text or "").split(",") if kind.strip()]
    for kind in kinds:
        if kind not in get_args(DumpKind):
            known = get_args(DumpKind)
            raise UsageError(f"--dump-code {kind!r}{suggest(kind, known)} known are {', '.join(known)}")
    return tuple(cast("list[DumpKind]", list(dict.fromkeys(kinds))))


def keep_kinds(folder: Path, kinds: tuple[DumpKind, ...]) -> None:
    """Remove the builder's files of other kinds from `folder`."""
    for name, kind in FILES.items():
        if kind not in kinds:
            (folder / name).unlink(missing_ok=True)
