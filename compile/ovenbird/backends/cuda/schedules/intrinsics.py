"""TVM's tensor core instructions, imported where first needed, and without the minutes that takes once torch is loaded.

TVM writes every instruction it knows as a script when the module is imported, and its parser looks at the whole call
stack each time; for frames without a file Python then searches all loaded modules, thousands with torch. Telling it
where those frames come from saves 2 minutes of a compile.

Example: `wmma_group()["load_a"]` is the name of an instruction for `Schedule.tensorize`.
"""

from __future__ import annotations

import inspect

FILELESS = {
    "<ast>": "ast",
    "<frozen importlib._bootstrap>": "_frozen_importlib",
    "<frozen importlib._bootstrap_external>": "_frozen_importlib_external",
    "<frozen runpy>": "runpy",
}
"""Files that are none, and the modules they stand for."""


def wmma_group() -> dict[str, str]:
    """Return the names of the instructions on 16 x 16 x 16 fragments: float16 operands in
    shared memory, float32 sums.
    """
    known: dict[str, str] = inspect.modulesbyfile
    for file, module in FILELESS.items():
        known.setdefault(file, module)
    from tvm.s_tir.tensor_intrin.cuda import get_wmma_intrin_group

    group: dict[str, str] = get_wmma_intrin_group(
        load_scope="shared", store_scope="shared", in_dtype="float16", out_dtype="float32", trans_b=True
    )
    return group
