"""Python examples in docstrings and on pages, held against the code: names exist, and calls fit their signatures.

    checked = check_module("ovenbird_runtime.serve.models.admission")
    checked.problems         # ["Admission.take: got an unexpected keyword argument 'row'"]
    checked.bound            # how many calls were held against a signature

Nothing is run. What a name is comes from the example's own assignments, the module, the packages' public names and
annotations; a name that nobody assigned is an instance of the class that is spelled like it (`admission`: Admission).
Calls whose function stays unknown are counted in `skipped`, but a plain name that is called must exist.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from support.inference import UNKNOWN, Instance, Reader

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"ovenbird": ROOT / "compile", "ovenbird_runtime": ROOT / "runtime"}
USUAL = {"Path": Path}
"""What an example need not import."""
TELLING = (ast.Call, ast.Import, ast.ImportFrom, ast.With)


@dataclass
class Checked:
    """What became of the examples of one module or page."""

    bound: int = 0
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def modules() -> list[str]:
    """Every module of both packages, but for those that are programs (they run when they are imported)."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted((folder / package).rglob("*.py")):
            if path.name != "__main__.py" and "lib" not in path.parts:
                parts = path.relative_to(folder).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def docstrings(tree: ast.Module) -> Iterator[str]:
    """The docstrings of a module, its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield text


def program_of(text: str) -> ast.Module:
    """The example in a docstring: its paragraphs that are Python, and of indented ones that are not, such lines."""
    body: list[ast.stmt] = []
    for paragraph in re.split(r"\n[ ]*\n", text):
        found = parsed(textwrap.dedent(paragraph))
        if found is None and paragraph.startswith("    "):
            lines = [parsed(line.strip()) for line in paragraph.splitlines()]
            found = [statement for line in lines if line for statement in line]
        if found and any(isinstance(node, TELLING) for statement in found for node in ast.walk(statement)):
            body += found
    return ast.Module(body, [])


def parsed(text: str) -> list[ast.stmt] | None:
    """The statements of a text; None where it is no Python."""
    try:
        return ast.parse(text).body
    except SyntaxError:
        return None


@cache
def public_names() -> dict[str, Any]:
    """What only one module of the packages defines under a name."""
    found: dict[str, list[Any]] = {}
    for name in modules():
        module = importlib.import_module(name)
        for key, value in vars(module).items():
            if not key.startswith("_") and getattr(value, "__module__", None) == name:
                found.setdefault(key, []).append(value)
    return {key: values[0] for key, values in found.items() if len(values) == 1}


def look_up(name: str, called: bool, module: Any) -> Any:
    """What a name in an example means that the example does not assign; functions of other modules only where it calls
    one.
    """
    own = vars(module) if module else {}
    cls = "".join(part.capitalize() for part in name.split("_"))
    like = next((place[cls] for place in (own, public_names()) if inspect.isclass(place.get(cls))), None)
    for place in (own, vars(builtins), vars(importlib.import_module("ovenbird_runtime")), USUAL, public_names()):
        found = place.get(name, UNKNOWN)
        if found is UNKNOWN or (inspect.ismodule(found) and (like or called or place is not own)):
            continue
        if called or place is not public_names() or inspect.isclass(found):
            return found
    return Instance(like) if like else UNKNOWN


def check_program(tree: ast.Module, module: Any) -> Checked:
    """Hold one example against the code."""
    checked = Checked()
    reader = Reader(lambda name, called: look_up(name, called, module), checked)
    reader.read(tree.body)
    return checked


@cache
def check_module(name: str) -> Checked:
    """Hold all examples of a module against the code."""
    module = importlib.import_module(name)
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    whole = Checked()
    for text in docstrings(ast.parse(source)):
        _add(whole, check_program(program_of(text), module))
    return whole


@cache
def check_page(path: Path) -> Checked:
    """Hold the Python blocks of a page against the code, one after the other as a reader would type them."""
    blocks = re.findall(r"^```(?:python|py)\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    whole, body = Checked(), list[ast.stmt]()
    for block in blocks:
        found = parsed(block)
        if found is None:
            whole.problems.append(f"is no Python: {block.strip().splitlines()[0]} ...")
        body += found or []
    _add(whole, check_program(ast.Module(body, []), None))
    return whole


def _add(whole: Checked, one: Checked) -> None:
    whole.bound += one.bound
    whole.skipped += one.skipped
    whole.problems += one.problems
