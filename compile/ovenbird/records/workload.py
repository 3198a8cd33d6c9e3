"""The name by which tuning records find a function again: the function itself, without what is not its arithmetic.

Example: `workload(function)` is the same module for two layers of one shape, in any network and under any name.
"""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx

KEPT = frozenset({"s_tir", "tirx.noalias"})
"""Attributes that belong to the arithmetic; fusion leaves others behind, depending on the network around."""


def workload(function: tirx.PrimFunc) -> tvm.IRModule:
    """Return the function as MetaSchedule's database keeps it: alone in a module, named `main`."""
    for key in list(function.attrs.keys()) if function.attrs else []:
        if str(key) not in KEPT:
            function = function.without_attr(str(key))
    function = function.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)
    return tvm.IRModule({"main": function})


def same_workload(one: tvm.IRModule, other: tvm.IRModule) -> bool:
    """Return whether two workloads are the same program, names of variables aside."""
    return bool(tvm_ffi.structural_equal(one, other))


def workload_hash(module: tvm.IRModule) -> int:
    """Return a hash that equal workloads share."""
    found: Any = tvm_ffi.structural_hash(module)
    return int(found)
