"""What one function of a library is compiled for, and the name that it has there.

EntryKey("main", 8).function                    # "main_b8"
EntryKey("main", 1, (320, 480)).function        # "main_b1_320x480"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ovenbird_runtime.manifest.program import MAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tvm


@dataclass(frozen=True, order=True)
class EntryKey:
    """A program, how many rows it takes, and how large their images are."""

    program: str = MAIN
    batch: int = 1
    size: tuple[int, ...] = ()
    """Height and width in pixels; empty where the program has but one size."""

    @property
    def function(self) -> str:
        """The name of the function, which nothing reads these from again."""
        return f"{self.program}_b{self.batch}" + ("_" + "x".join(map(str, self.size)) if self.size else "")


Networks: TypeAlias = "Mapping[EntryKey, tvm.IRModule]"
"""Imported modules, each with a function `main`, by what they are for; a string, so that nothing imports TVM for it."""
