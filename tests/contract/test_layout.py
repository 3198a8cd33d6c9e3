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


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{name(path)} has {lines} lines, limit {MAX_LINES}; split it by concept"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body, f"{name(path)} has no module docstring"


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
