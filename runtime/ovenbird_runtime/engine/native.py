"""Run compiled code by the C++ runtime, where the package `ovenbird_native` is installed: no TVM, no virtual machine.

    code = NativeCode(artifact, variant, target)          # checked, loaded and bound by the C++ runtime itself
    runner = code.runner(threads=2)
    runner.run(entry, program, {"image": array}, start=0, rows=1)

Each runner is a session of the C++ runtime, with memory and threads of its own; code and weights are shared. Arrays
that lie at a multiple of 64 bytes are read in place.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from .. import errors
from ..artifact.artifact import Artifact
from ..artifact.plan import PLAN
from ..console.installing import NATIVE, install_hint
from ..errors import EngineCallFailed, EngineLoadFailed, FileChanged, LibraryMissing, PlanMissing, VersionMismatch
from ..integrity.weights import MappedFile
from ..machine.versions import __version__
from ..manifest.manifest import Entry, Program, Target, VariantRef
from ..tensors.arrays import Array, aligned_empty
from .engine import NOTHING
from .processors import new_share

_PACKAGE = "ovenbird_native"


def is_installed() -> bool:
    """Return whether the package is there, of this runtime's version."""
    try:
        import_native()
    except (LibraryMissing, VersionMismatch):
        return False
    return True


def import_native() -> Any:
    """Return the package `ovenbird_native`. Raises LibraryMissing, VersionMismatch."""
    try:
        package = importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise LibraryMissing(f"{_PACKAGE} cannot be imported: {error}; {install_hint(folder=NATIVE)}") from None
    if package.__version__ != __version__:
        raise VersionMismatch(
            f"{_PACKAGE} {package.__version__} is installed, this runtime needs {__version__}: "
            f"{install_hint(folder=NATIVE)}"
        )
    return package


class NativeCode:
    """An artifact's code and weights as the C++ runtime has loaded them: what all workers share."""

    engine = "native"
    shares_processors = True

    def __init__(
        self,
        artifact: Artifact,
        variant: VariantRef,
        target: Target,
        public_key: str | os.PathLike[str] | None = None,
    ) -> None:
        """Load the variant: every file of it is checked. Raises what `load` raises, and PlanMissing where a program has
        none.
        """
        package = import_native()
        self.target, self.programs = target, dict(artifact.manifest.programs)
        self.sized = {(name, size): one.at(size) for name, one in self.programs.items() for size in one.image_sizes}
        self._binding, self._error = package._binding, package.NativeError
        if f"{variant.path}/{PLAN}" not in artifact.manifest.files:
            raise PlanMissing(f'{variant.path} has no {PLAN}: it runs on TVM\'s virtual machine alone (engine="tvm")')
        try:
            key = None if public_key is None else os.fsencode(public_key)
            self.artifact = self._binding.Artifact(
                os.fsencode(artifact.root), key, target.target, target.precision, _shared_weights(artifact, target)
            )
        except self._error as error:
            raise typed(error) from None
        if self.artifact.manifest_sha256 != hashlib.sha256(artifact.manifest_bytes).hexdigest():
            raise FileChanged("manifest.json changed while the artifact was loaded: load it again")
        planned = {(program, batch, (height, width)) for program, batch, height, width in self.artifact.entries}
        for entry in target.entries:
            size = entry.size if self.programs[entry.program].sizes else ()
            if (entry.program, entry.batch, size or (0, 0)) not in planned:
                raise PlanMissing(
                    f"{variant.path}/{PLAN} lacks program {entry.program} for batches of {entry.batch}: "
                    'it runs on TVM\'s virtual machine alone (engine="tvm")'
                )
        self.share = new_share()

    def turn(self, threads: int) -> AbstractContextManager[None]:
        """Wait for this model's turn at `threads` processors."""
        return self.share.turn(threads)

    def runner(self, threads: int) -> NativeRunner:
        """Return a session of the C++ runtime with so many threads. Raises EngineLoadFailed."""
        try:
            return NativeRunner(self._binding.Session(self.artifact, threads), self._error)
        except self._error as error:
            raise typed(error) from None

    def release_unused(self) -> None:
        """Do nothing: memory is planned, none is kept for later."""

    def host_function(self, name: str) -> Callable[..., None] | None:
        """Return a function of the code that runs on arrays and whole numbers; None for no name.

        Raises EngineLoadFailed where the code lacks what its description names.
        """
        if not name:
            return None
        if not self.artifact.has_kernel(name):
            raise EngineLoadFailed(f"the code of {self.target.target} has no {name}")

        def call(*arguments: Any) -> None:
            if self.artifact.call(name, *arguments) != 0:
                raise EngineCallFailed(f"{name} failed on what it was given")

        return call


class NativeRunner:
    """A session of the C++ runtime."""

    def __init__(self, session: Any, error: type[Exception]) -> None:
        """Made by `NativeCode.runner`."""
        self._session, self._error = session, error
        self._padded: dict[str, dict[str, Array]] = {}

    def run(
        self,
        entry: Entry,
        program: Program,
        arrays: Mapping[str, Array],
        start: int,
        rows: int,
        held: Mapping[str, Array] = NOTHING,
    ) -> tuple[list[Array], float]:
        """Run an entry on `rows` rows of arrays from `start` on, padded to its batch; return its outputs and the ms it
        took. `held` are inputs that are read where they lie. Raises EngineCallFailed.
        """
        given = {
            spec.name: arrays[spec.name][start : start + rows] if spec.batched else arrays[spec.name]
            for spec in program.inputs
            if spec.name not in held
        } | dict(held)
        if rows < entry.batch:
            given = self._pad(entry, program, given, rows)
        began = time.perf_counter()
        try:
            found = self._session.run(given, entry.program, True)  # NaN was looked for, or asked for
        except self._error as error:
            raise typed(error) from None
        spent = (time.perf_counter() - began) * 1e3
        return [found[spec.name] for spec in program.outputs], spent

    def _pad(self, entry: Entry, program: Program, given: Mapping[str, Array], rows: int) -> dict[str, Array]:
        """Return the inputs with zeros behind their rows, in buffers that are kept."""
        if entry.function not in self._padded:
            self._padded[entry.function] = {
                spec.name: aligned_empty(spec.with_batch(entry.batch), spec.dtype)
                for spec in program.inputs
                if spec.batched
            }
        padded = dict(given)
        for name, buffer in self._padded[entry.function].items():
            buffer[:rows] = given[name]
            buffer[rows:] = 0
            padded[name] = buffer
        return padded


def _shared_weights(artifact: Artifact, target: Target) -> dict[str, MappedFile]:
    """Return the files of weights that can be shared with other processes, mapped; the C++ runtime checks them where
    they lie, and makes copies of its own of the others. Raises FileMissing, FileChanged, UnsafePath.
    """
    mapped = {name: artifact.map_unchecked(name) for name in sorted({tensor.file for tensor in target.tensors})}
    return {name: file for name, file in mapped.items() if file is not None}


def typed(error: Any) -> errors.OvenbirdError:
    """Return the runtime's own error of the kind that the C++ runtime names."""
    kind = getattr(errors, error.kind, None)
    found = kind if isinstance(kind, type) and issubclass(kind, errors.OvenbirdError) else EngineCallFailed
    message = str(error) if found.__name__ == error.kind else f"{error.kind}: {error}"
    return found(message)
