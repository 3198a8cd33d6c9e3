"""No module imports, by whatever way, one that imports it: not for types alone, and not within a function either.

import-linter holds the order of packages as they are imported; this looks at every import that is written down. Nor do
the rooms of a folder go round in a circle, except for types: a backend's protocol and the lowering that it calls name
each other's.
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


def imported(name: str, path: Path, modules: dict[str, Path], types: bool = True) -> Iterator[str]:
    """The modules that one names in its import statements, wherever they stand; those for `types` alone, too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree if types else without_types(tree)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            base = ".".join([*here[: len(here) + 1 - node.level], *filter(None, [node.module])])
            base = base if node.level else node.module or ""
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in modules else base


def without_types(tree: ast.Module) -> ast.Module:
    """Leave out what stands under `if TYPE_CHECKING`."""

    class Leaving(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    kept = Leaving().visit(tree)
    assert isinstance(kept, ast.Module)
    return kept


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


def rooms_of(package: Path) -> dict[str, dict[str, set[str]]]:
    """For each folder the graph of what lies in it, a room by its own name."""
    modules = modules_of(package)
    graphs: dict[str, dict[str, set[str]]] = {}
    for name, path in modules.items():
        for other in imported(name, path, modules, types=False):
            if other not in modules:
                continue
            ours, theirs = name.split("."), other.split(".")
            shared = next((at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
            if shared:
                graph = graphs.setdefault(".".join(ours[:shared]), {})
                graph.setdefault(ours[shared], set()).add(theirs[shared])
    return graphs


@pytest.mark.parametrize("package", PACKAGES)
def test_no_room_imports_one_that_imports_it(package: str) -> None:
    graphs = rooms_of(ROOT / package)
    assert len(graphs) > 8
    assert {folder: circle for folder, graph in graphs.items() if (circle := circle_of(graph))} == {}


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


def test_a_circle_of_rooms_is_found(tmp_path: Path) -> None:
    """Of two rooms whose modules form none."""
    package = tmp_path / "house"
    for room in ("hall", "attic"):
        (package / room).mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "hall/__init__": "",
        "attic/__init__": "",
        "hall/stairs": "from house.attic.hatch import opened\n",
        "hall/lamp": "lit = True\n",
        "attic/hatch": "opened = True\n",
        "attic/box": "def look():\n    from ..hall import lamp\n",
    }.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    assert circle_of(graph_of(package)) == []
    assert set(circle_of(rooms_of(package)["house"])) == {"hall", "attic"}
