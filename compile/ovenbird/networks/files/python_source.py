"""What a Python file defines, by its text alone.

Example: `names_in_source(Path("mynets.py"))` is `["build", "Net"]`.
"""

from __future__ import annotations

import ast
from pathlib import Path


def names_in_source(path: Path) -> list[str]:
    """Return the public functions, classes and variables at the top of a file, without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in found if not name.startswith("_")]
