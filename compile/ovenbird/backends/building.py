"""From Relax modules, one for each batch size and image size, to a library for a target.

built = build_module({EntryKey("main", 1): one, EntryKey("main", 8): eight}, load_target("host"))
built.export(Path("model.so"))
built.tensors                    # the packed weights, in a file of their own next to the library
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.lowering.built import BuiltModule, StepReport
from ovenbird.lowering.dumping import Dump
from ovenbird.lowering.pipeline import compile_networks
from ovenbird.targets import TargetSpec

if TYPE_CHECKING:
    from ovenbird.lowering.entry_key import Networks

DEFAULT = BuildOptions()


def build_module(
    modules: Networks,
    target: TargetSpec,
    options: BuildOptions = DEFAULT,
    progress: StepReport | None = None,
    dump: Path | None = None,
) -> BuiltModule:
    """Compile Relax modules into one library, a function each.

    `modules`: what each is for -> module whose `main` takes the network's inputs and holds its weights as constants.
    `dump`: a folder that receives what the compiler saw between its passes, by their names (`lowering.dumping`).

    Raises NoCudaCompiler, TargetInvalid, BuildFailed.
    """
    compiler = BACKENDS[target.kind].compiler(target, options)
    return compile_networks(modules, compiler, options.records, progress, Dump(dump))
