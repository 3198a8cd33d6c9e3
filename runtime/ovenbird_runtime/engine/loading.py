"""Choose who runs an artifact's code, and load it: TVM's virtual machine, or the C++ runtime.

    code = load_code(artifact, device, variant, target, meanwhile=import_what_follows)
    code.engine                              # "native" where `ovenbird_native` is installed and the code has a plan

Everything is checked before code is loaded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, get_args

from ..artifact.artifact import Artifact
from ..errors import DeviceUnavailable, EngineLoadFailed, PlanMissing, WrongOption, shown
from ..integrity.sealed import SealedFile
from ..integrity.weights import MappedFile
from ..machine.devices import CPU, Device
from ..manifest.answers import Ctc
from ..manifest.manifest import Manifest, Target, VariantRef

if TYPE_CHECKING:
    from .native import NativeCode
    from .virtual_machine import Code

T = TypeVar("T")
EngineName = Literal["tvm", "native"]
ENGINE_VARIABLE = "OVENBIRD_ENGINE"
"""The variable of the environment that names the engine where the caller does not."""


def load_code(
    artifact: Artifact,
    device: Device,
    variant: VariantRef,
    target: Target,
    public_key: str | os.PathLike[str] | None = None,
    engine: str | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Code | NativeCode:
    """Return the variant's code, loaded for `device` by the engine that is named, or else by the one that fits.

    `public_key` is what the artifact was opened with; `meanwhile` is called while files are read and checked, which
    takes as long as imports do. Raises ArtifactError, MachineError, EngineError, WrongOption.
    """
    asked = _engine_name(engine)
    loading = _native_code(artifact, device, variant, target, public_key, asked)
    if loading is not None:
        meanwhile()
        try:
            return loading.result()
        except (PlanMissing, EngineLoadFailed):
            if asked == "native":
                raise
    return _machine_code(artifact, device, variant, target, meanwhile)


def _engine_name(given: str | None) -> EngineName | None:
    """Return the engine that is asked for, here or by $OVENBIRD_ENGINE. Raises WrongOption."""
    name = given if given is not None else os.environ.get(ENGINE_VARIABLE) or None
    if name is not None and name not in get_args(EngineName):
        raise WrongOption(f'engine is {shown(name)}, expected "tvm" or "native"')
    return name  # type: ignore[return-value]


def _native_code(
    artifact: Artifact,
    device: Device,
    variant: VariantRef,
    target: Target,
    public_key: str | os.PathLike[str] | None,
    engine: EngineName | None,
) -> _Aside[NativeCode] | None:
    """Begin to load the code by the C++ runtime; None where TVM's is to run it. Raises as `load` does."""
    if engine == "tvm":
        return None
    from . import native

    if device.kind is not CPU.kind:
        if engine == "native":
            raise DeviceUnavailable(f'device {device} has no native engine: it has cpu; use engine="tvm"')
        return None
    if engine is None and not native.is_installed():
        return None
    if why := unknown_to_native(artifact.manifest):
        if engine == "native":
            raise EngineLoadFailed(f'{artifact.manifest.model.name} {why}, which the native engine lacks: engine="tvm"')
        return None
    return _Aside(lambda: native.NativeCode(artifact, variant, target, public_key))


class _Aside(threading.Thread, Generic[T]):
    """Work on a thread of its own. (`concurrent.futures` would import logging, 3 ms of every start.)"""

    def __init__(self, work: Callable[[], T]) -> None:
        """Begin it."""
        super().__init__(name="ovenbird-check")
        self._work = work
        self._found: list[T] = []
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Keep what it returns or raises. On that thread."""
        try:
            self._found.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._error = error

    def result(self) -> T:
        """Wait for what it returns. Raises what it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._found[0]


def unknown_to_native(manifest: Manifest) -> str:
    """Return what of a manifest the C++ runtime does not know, and would refuse; nothing where it knows all."""
    steps = [step for program in manifest.programs.values() for step in program.postprocess]
    return "reads lines of text" if any(isinstance(step, Ctc) for step in steps) else ""


def _machine_code(
    artifact: Artifact, device: Device, variant: VariantRef, target: Target, meanwhile: Callable[[], None]
) -> Code:
    """Load the code by TVM's runtime. Raises as `load` does."""
    checking = _Aside(lambda: _check_files(artifact, variant, target))
    try:
        from .ffi import import_ffi
        from .virtual_machine import Code

        import_ffi()
        meanwhile()
    finally:
        checking.join()
    library, weights = checking.result()
    return Code(library, target, artifact.manifest.programs, weights, device)


def _check_files(artifact: Artifact, variant: VariantRef, target: Target) -> tuple[SealedFile, dict[str, MappedFile]]:
    """Check the digests of all files but other variants' own; return this one's code and weights, as they were then."""
    code, weights = f"{variant.path}/model.so", {tensor.file for tensor in target.tensors}
    others = tuple(f"{ref.path}/" for ref in artifact.manifest.variants if ref != variant)
    skipped = (*others, "weights/")
    artifact.verify(name for name in artifact.manifest.files if not name.startswith(skipped) and name != code)
    return artifact.seal(code), {name: artifact.map(name) for name in sorted(weights)}
