"""The layout that a reader may rely on: small files, one place for each thing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
SOURCES = sorted(
    path
    for folder in ("compile", "runtime", "tests", "ci", "targets")
    for pattern in ("*.py", "*.sh", "*.toml", "*.cpp", "*.h")
    for path in (ROOT / folder).rglob(pattern)
    if not {"build", "lib", "__pycache__", "node_modules"} & set(path.relative_to(ROOT).parts)
)
MODULES = [
    path for path in SOURCES if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ("compile", "runtime")
]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_sources() -> None:
    assert len(MODULES) > 10


def test_files_are_short() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    long = {path: count for path, count in lines.items() if count > MAX_LINES}
    assert not long, f"more than {MAX_LINES} lines; split them by concept"


def test_modules_say_what_they_are_for() -> None:
    trees = {name(path): ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    silent = [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert not silent, "no module docstring"


@pytest.mark.parametrize("folder", ["compile", "runtime"])
def test_distribution_folder_is_no_package(folder: str) -> None:
    # With an __init__.py here `import compile.ovenbird` would work from a checkout and nowhere else.
    assert not (ROOT / folder / "__init__.py").exists()


def test_versions_agree() -> None:
    versions = {
        line.split("=")[1].strip()
        for package in ("compile/ovenbird", "runtime/ovenbird_runtime")
        for line in (ROOT / package / "__init__.py").read_text(encoding="utf-8").splitlines()
        if line.startswith("__version__")
    }
    assert len(versions) == 1, f"compiler and runtime are released together, found versions {versions}"
