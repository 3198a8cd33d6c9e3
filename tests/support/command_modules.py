"""The modules of a command in `ci/`, which is a folder of scripts and no package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

COMMANDS = Path(__file__).resolve().parents[2] / "ci"


@contextmanager
def command_modules(command: str, names: Sequence[str]) -> Iterator[dict[str, ModuleType]]:
    """Give modules of a command, under names that other commands' have, too: imported here and forgotten again."""
    folder = str(COMMANDS / command)
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, folder)
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(folder)
    for name in names:
        del sys.modules[name]
    sys.modules.update(before)
