"""Imports: one style in each package, and numpy at the top of a file but where that would cost a start."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"ovenbird": ROOT / "compile/ovenbird", "ovenbird_runtime": ROOT / "runtime/ovenbird_runtime"}
# These bind themselves to some processors first, which numpy's libraries count when they are loaded.
AFTER_AFFINITY = {"ovenbird.benchmarking.worker", "ovenbird.benchmarking.layer_profile"}
# What must start without numpy: `--help` answers at once, and `load` imports numpy while it checks the digests.
STARTS = """
import json, sys
from click.testing import CliRunner
import ovenbird_runtime.model
from ovenbird.cli import main as compiler
from ovenbird_runtime.cli import main as runtime
for main in (compiler, runtime):
    assert CliRunner().invoke(main, ["--help"]).exit_code == 0
print(json.dumps(sorted(sys.modules)))
"""


def module_of(path: Path) -> str:
    (root,) = (folder.parent for folder in PACKAGES.values() if folder in path.parents)
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_of(path): path for folder in PACKAGES.values() for path in sorted(folder.rglob("*.py"))}


@cache
def started() -> frozenset[str]:
    """The modules that a start imports."""
    path = {"PYTHONPATH": f"{ROOT / 'compile'}:{ROOT / 'runtime'}"}
    done = subprocess.run([sys.executable, "-c", STARTS], env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return frozenset(json.loads(done.stdout))


def imports_inside_functions(path: Path, name: str) -> list[int]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    nodes = (node for function in functions for node in ast.walk(function) if isinstance(node, ast.Import))
    return sorted({node.lineno for node in nodes if any(alias.name == name for alias in node.names)})


def test_a_start_imports_no_numpy() -> None:
    assert {"ovenbird_runtime.model", "ovenbird.cli"} <= started()
    assert not {"numpy", "PIL", "tvm", "tvm_ffi", "torch", "asyncio"} & started()


def test_numpy_is_imported_at_the_top_everywhere_else() -> None:
    apart = started() | AFTER_AFFINITY
    offenders = {
        f"{path.relative_to(ROOT)}:{line}"
        for module, path in SOURCES.items()
        if module not in apart
        for line in imports_inside_functions(path, "numpy")
    }
    assert not offenders, "import numpy at the top of these files, no start reads them"


def test_the_runtime_s_own_imports_are_relative() -> None:
    """An absolute import in the runtime is another distribution's. The compiler's are absolute (ruff's TID252)."""
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for module, path in SOURCES.items()
        if module.startswith("ovenbird_runtime") and path.name != "__main__.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module.split(".")[0] == "ovenbird_runtime"
    ]
    assert not offenders


def test_there_is_one_alias_for_arrays() -> None:
    home = PACKAGES["ovenbird_runtime"] / "tensors/arrays.py"
    offenders = [
        str(path.relative_to(ROOT))
        for path in SOURCES.values()
        if path != home and "ndarray[Any, Any]" in path.read_text(encoding="utf-8")
    ]
    assert not offenders, "say Array, from ovenbird_runtime.tensors.arrays"
