"""Which processor computes is asked of two tables, `backends.table` and the runtime's `machine.devices`; nobody else
compares a kind with a name, or reaches past the table to one backend or one device.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOMES = ("compile/ovenbird/backends/", "runtime/ovenbird_runtime/machine/", "runtime/ovenbird_runtime/engine/")
"""Where kinds have their names: the backends themselves, and the runtime's devices."""
NAMES = {"llvm", "cuda", "cpu", "gpu", "nvidia", "sm_"}
ONE_KIND = ("ovenbird.backends.cpu", "ovenbird.backends.cuda", "ovenbird_runtime.machine.cuda", "machine.cuda")
OTHERS = {
    "compile/ovenbird/networks/pt2/tensors.py": 'tensor.device.type != "cpu"',
    "runtime/ovenbird_runtime/manifest/schema1.py": 'target.startswith("cuda")',
    "runtime/ovenbird_runtime/serve/v2/metadata.py": 'model.device == "cpu"',
    "compile/ovenbird/lowering/dumping.py": 'module.kind == "llvm"',
    "compile/ovenbird/passes/kernels/keep_locals_on_stack.py": 'target.kind.name != "llvm"',
    "compile/ovenbird/passes/floats/keep_rounding.py": 'target.kind.name != "llvm"',
}
"""Names of others, which decide nothing of ours: TVM's of what LLVM compiles for the host, torch's device of a file's
tensors, the names that targets had in schema 1, and the two kinds that KServe's protocol has."""


def sources() -> Iterator[Path]:
    for package in ("compile/ovenbird", "runtime/ovenbird_runtime"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.relative_to(ROOT).as_posix().startswith(HOMES):
                yield path


def offences(text: str) -> Iterator[tuple[int, str]]:
    """Every line that decides by a processor's name, with what it says."""
    for node in ast.walk(ast.parse(text)):
        named: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            named = [one for side in (node.left, *node.comparators) for one in ast.walk(side)]
        elif isinstance(node, ast.MatchValue):
            named = list(ast.walk(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "with" in node.func.attr:
            named = list(node.args)  # startswith, endswith
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(ONE_KIND):
            yield node.lineno, ast.unparse(node)
        if any(isinstance(one, ast.Constant) and one.value in NAMES for one in named):
            yield node.lineno, ast.unparse(node).replace("'", '"')


def test_kinds_are_told_apart_in_two_tables_alone() -> None:
    found = [
        f"{name}:{line}: {what}"
        for path in sources()
        for line, what in offences(path.read_text(encoding="utf-8"))
        if OTHERS.get(name := path.relative_to(ROOT).as_posix()) != what
    ]
    assert not found, "ask BACKENDS[spec.kind], or device.kind:\n" + "\n".join(found)


def test_the_search_finds_what_must_not_return() -> None:
    for line in (
        'suffix = "+fp16" if spec.kind == "cuda" else ""',
        'if target.kind in ("llvm", "rocm"): pass',
        'processors = [spec for spec in specs if "llvm" != spec.kind]',
        'if spec.chip.startswith("sm_"): pass',
        'match kind:\n    case "cuda": pass',
        "from ovenbird.backends.cuda.options import GpuOptions",
        "from ..machine.cuda import probe_gpu",
    ):
        assert list(offences(line)), line
    assert not list(offences("kinds = [other for other in specs if other.kind == spec.kind]"))
