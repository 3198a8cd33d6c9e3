"""The layout that a reader may rely on: small files, one place for each thing."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
MAX_MODULES = 14
"""Of one folder: about a dozen can be overlooked, more are a drawer."""
A_COMMAND_A_FILE = "compile/ovenbird/cli"
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


def test_examples_are_read_in_a_minute() -> None:
    lines = {name(path): len(path.read_text().splitlines()) for path in (ROOT / "examples").rglob("*.py")}
    assert len(lines) > 5
    assert not {path: count for path, count in lines.items() if count > 60}


def test_modules_say_what_they_are_for() -> None:
    trees = {name(path): ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    silent = [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert not silent, "no module docstring"


def test_a_folder_holds_about_a_dozen_modules() -> None:
    counts = Counter(name(path.parent) for path in MODULES if path.name != "__init__.py")
    drawers = {at: count for at, count in counts.items() if count > MAX_MODULES and at != A_COMMAND_A_FILE}
    assert not drawers, f"more than {MAX_MODULES} modules; make rooms of those that belong together"


def test_unit_tests_lie_where_their_packages_do() -> None:
    homes = {"compile": ROOT / "compile/ovenbird", "runtime": ROOT / "runtime/ovenbird_runtime", "ci": ROOT / "ci"}
    astray = []
    for path in (ROOT / "tests/unit").rglob("test_*.py"):
        part, *rooms = path.relative_to(ROOT / "tests/unit").parts[:-1]
        if not homes[part].joinpath(*rooms).is_dir():
            astray.append(name(path))
    assert not astray, "a folder of tests has the name of the folder that it is about"


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
