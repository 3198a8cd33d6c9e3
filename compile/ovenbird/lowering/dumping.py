"""`--dump-code relax,tir,ll,asm`: the code between the passes, for people to read.

A `Dump` writes each form into one folder, under the name of the pass behind which it looks like that; those of other
kinds than asked for are removed again, and nothing else that may lie there.

    kinds = parse_kinds("relax,asm")
    keep_kinds(Path("artifacts/resnet50.code/host"), kinds)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast, get_args

from ovenbird.errors import UsageError, suggest

DumpKind = Literal["relax", "tir", "ll", "asm", "cu"]
FILES: dict[str, DumpKind] = {
    "prepared.relax": "relax",
    "walked.relax": "relax",
    "walked.tir": "tir",
    "fused.relax": "relax",
    "fused.tir": "tir",
    "lowered.relax": "relax",
    "scheduled.tir": "tir",
    "allocated.relax": "relax",
    "model.ll": "ll",
    "model.asm": "asm",
    "model.cu": "cu",
}
"""What is written, in the order of `lowering.pipeline`."""


class Dump:
    """Writes the code into a folder; without one, nowhere."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def module(self, name: str, module: Any) -> None:
        """Write what `FILES` says of a module behind the pass `name`: its networks, its kernels, or both."""
        from tvm import IRModule, relax, tirx

        for suffix, kind in ((".relax", relax.Function), (".tir", tirx.PrimFunc)):
            if self.folder is not None and name + suffix in FILES:
                functions = {n: f for n, f in module.functions_items() if isinstance(f, kind)}
                self.text(name + suffix, IRModule(functions).script(show_meta=False))

    def code(self, executable: Any) -> None:
        """Write LLVM's and the assembler's view of an executable; of the processor's part, where there are two."""
        if self.folder is None:
            return
        for module in executable.mod.imports:
            if module.kind == "llvm":
                self.text("model.ll", module.inspect_source("ll"))
                self.text("model.asm", module.inspect_source("asm"))

    def text(self, name: str, text: str) -> None:
        """Write one file."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)


NOWHERE = Dump()
"""Keeps nothing."""


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
