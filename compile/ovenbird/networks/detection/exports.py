"""What Ultralytics' exporter writes into an ONNX file about its network: the task, and the classes' names.

    export = read_export({"task": "detect", "names": "{0: 'person', 1: 'bicycle'}"})
    export.labels                       # ("person", "bicycle")

Rows of its networks for poses, masks and turned boxes look as those of boxes do, with more numbers: as classes these
would be read, and each answer be wrong. So the task is asked for where the file says it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from ovenbird.errors import UsageError
from ovenbird.limits import MAX_EXPORTED_NAMES_CHARACTERS
from ovenbird_runtime.errors import shown

DETECT = "detect"


@dataclass(frozen=True)
class Export:
    """What a file says; nothing where another tool wrote it."""

    task: str = ""
    labels: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what is no detector of upright boxes. Raises UsageError."""
        if self.task and self.task != DETECT:
            raise UsageError(
                f"the file says that its task is {shown(self.task)}: its rows hold more than boxes and classes; "
                "export a network for detect, or ask for its tensors: --answer raw"
            )


def read_export(metadata: Mapping[str, str]) -> Export:
    """Return what an ONNX file's properties say; names that cannot be read are none."""
    return Export(metadata.get("task", ""), _names(metadata.get("names", "")))


def _names(text: str) -> tuple[str, ...]:
    """Read a dict from index to name as Python writes it: literals, which nothing evaluates."""
    if not text or len(text) > MAX_EXPORTED_NAMES_CHARACTERS:
        return ()
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()
    if isinstance(found, dict) and set(found) == set(range(len(found))):
        found = [found[index] for index in range(len(found))]
    if not isinstance(found, list) or not all(isinstance(name, str) and name.strip() for name in found):
        return ()
    names = tuple(" ".join(name.split()) for name in found)
    return names if all(name.isprintable() for name in names) else ()
