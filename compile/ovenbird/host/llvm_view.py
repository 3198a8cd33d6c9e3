"""What LLVM takes this machine's processor for, kept: to ask it imports TVM and torch, seconds of processor time.

    mcpu, features = llvm_view(cpu_name(), cpu_flags())     # "znver3", {"avx2", "fma", ...}

What is kept is of one processor, as the kernel shows it, and of one version of TVM; anything else asks again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable

from ovenbird.replacing import replacing
from ovenbird.resources import cache_folder

VIEW = "llvm.json"


def llvm_view(cpu: str, flags: Iterable[str]) -> tuple[str, frozenset[str]]:
    """Return the processor's name in LLVM, and the features that LLVM takes it to have."""
    if "tvm" in sys.modules:
        return ask_llvm()
    versions = importlib.metadata.version("apache-tvm")
    key = hashlib.sha256("\n".join([versions, cpu, *sorted(flags)]).encode()).hexdigest()
    path = cache_folder() / VIEW
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["of"] == key:
            return str(kept["mcpu"]), frozenset(map(str, kept["features"]))
    except (OSError, ValueError, LookupError, TypeError):
        pass
    mcpu, features = ask_llvm()
    with contextlib.suppress(OSError):  # it only saves time
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            document = {"of": key, "mcpu": mcpu, "features": sorted(features)}
            partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return mcpu, features


def ask_llvm() -> tuple[str, frozenset[str]]:
    """Ask the LLVM in TVM."""
    import tvm
    from tvm.target import codegen

    mcpu = str(codegen.llvm_get_system_cpu())
    target = tvm.target.Target({"kind": "llvm", "mcpu": mcpu})
    return mcpu, frozenset(str(feature) for feature in codegen.llvm_get_cpu_features(target))
