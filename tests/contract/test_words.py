"""One voice and one meaning for each public name, as docs/how-to/style.md says."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A docstring's first word that ruff takes for a verb in the imperative, and what to write.
NOT_OURS = {"Give": "Return", "Gives": "Return", "Tell": "Report, Print", "Whether": "Return whether"}
GIVE_UP = "Give up "
PRIVATE = re.compile(r"\b(beside|told|tells|unwell)\b", re.IGNORECASE)
"""Words of our own, where the field has one (docs/how-to/style.md)."""
# Types of one name in several homes, and why; a new one needs a better name first.
SEVERAL_HOMES = {}


def sources(*folders: str) -> dict[str, ast.Module]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_functions_say_what_they_return_in_the_standard_words() -> None:
    """ruff's D401 knows no third person and no noun; these words it takes for the imperative."""
    offenders = []
    for path, tree in sources("compile/ovenbird", "runtime/ovenbird_runtime", "ci").items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_property(node):
                continue
            text = ast.get_docstring(node) or ""
            first = text.partition(" ")[0]
            if first in NOT_OURS and not text.startswith(GIVE_UP):
                offenders.append(f"{path}:{node.lineno}: {first} -> {NOT_OURS[first]}")
    assert not offenders


def test_no_private_word_returns() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{number}: {found[0]}"
        for folder in ("compile/ovenbird", "runtime/ovenbird_runtime")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := PRIVATE.search(line))
    ]
    assert not offenders, "docs/how-to/style.md has the word to write instead"


def named_types(tree: ast.Module) -> Iterator[str]:
    """Yield the public classes and aliases that a module defines; what others import of it they do not define."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        else:
            continue
        if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name):
            yield name


def test_a_public_type_has_one_home() -> None:
    homes = defaultdict(list)
    for path, tree in sources("compile/ovenbird", "runtime/ovenbird_runtime").items():
        for name in named_types(tree):
            homes[name].append(path)
    several = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert not several, "one name, one meaning: name what each of them is"
