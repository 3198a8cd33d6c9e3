"""TVM's tensor core instructions: those that schedules here use, of the hundred that TVM knows.

TVM writes every instruction as a script and registers it when the module is imported, which takes 9 s of processor once
torch is loaded (Zen 3). So the module is loaded here without its registrations, and only those of the group are made.
Its parser looks at the whole call stack each time; for frames without a file Python then searches all loaded modules,
unless it knows where those frames come from.

Example: `wmma_group()["load_a"]` is the name of an instruction for `Schedule.tensorize`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from pathlib import Path
from types import ModuleType

MODULE = "tvm.s_tir.tensor_intrin.cuda"
"""TVM's module of a GPU's instructions."""
FILELESS = {
    "<ast>": "ast",
    "<frozen importlib._bootstrap>": "_frozen_importlib",
    "<frozen importlib._bootstrap_external>": "_frozen_importlib_external",
    "<frozen runpy>": "runpy",
}
"""Files that are none, and the modules they stand for."""


@functools.cache
def wmma_group() -> dict[str, str]:
    """Return the names of the instructions on 16 x 16 x 16 fragments: float16 operands in
    shared memory, float32 sums.
    """
    known: dict[str, str] = inspect.modulesbyfile
    for file, module in FILELESS.items():
        known.setdefault(file, module)
    registrations: list[ast.Call] = []
    found = sys.modules.get(MODULE) or load(registrations)
    group: dict[str, str] = found.get_wmma_intrin_group(
        load_scope="shared", store_scope="shared", in_dtype="float16", out_dtype="float32", trans_b=True
    )
    for call in registrations:
        if evaluate(call.args[0], found) in group.values():
            evaluate(call, found)
    return group


def load(registrations: list[ast.Call]) -> ModuleType:
    """Load TVM's module, but keep what it would call for each instruction in `registrations`."""
    import tvm.s_tir

    path = Path(tvm.s_tir.__file__).parent / "tensor_intrin" / "cuda.py"
    tree, kept = ast.parse(path.read_bytes(), str(path)), []
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            registrations.append(node.value)
        else:
            kept.append(node)
    tree.body = kept
    module = ModuleType(MODULE)
    module.__file__ = str(path)
    sys.modules[MODULE] = module  # the parser finds sources by it; and nobody loads it once more
    exec(compile(tree, str(path), "exec"), vars(module))
    return module


def evaluate(node: ast.expr, module: ModuleType) -> object:
    """Evaluate an expression of a module in it."""
    return eval(compile(ast.Expression(node), str(module.__file__), "eval"), vars(module))
