"""No module imports, by whatever way, one that imports it: not for types alone, and not within a function either.

import-linter holds the order of packages as they are imported; this looks at every import that is written down.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["compile/ovenbird", "runtime/ovenbird_runtime"]


def modules_of(package: Path) -> dict[str, Path]:
    """Every module's name and file."""
    found = {}
    for path in package.rglob("*.py"):
        *parts, last = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts if last == "__init__" else [*parts, last])] = path
    return found


def imported(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The modules that one names in its import statements, wherever they stand."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            base = ".".join([*here[: len(here) + 1 - node.level], *filter(None, [node.module])])
            base = base if node.level else node.module or ""
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in modules else base


def circle_of(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, none where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def graph_of(package: Path) -> dict[str, set[str]]:
    modules = modules_of(package)
    return {
        name: {other for other in imported(name, path, modules) if other in modules and other != name}
        for name, path in modules.items()
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_one_that_imports_it(package: str) -> None:
    graph = graph_of(ROOT / package)
    assert len(graph) > 50
    assert circle_of(graph) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    """Of a type and of an import within a function, by a name that is relative."""
    package = tmp_path / "house"
    (package / "room").mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "room/__init__": "",
        "room/door": "def open():\n    from .. import window\n",
        "window": "if TYPE_CHECKING:\n    from .room.door import open\n",
    }.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    assert set(circle_of(graph_of(package))) == {"house.room.door", "house.window"}
