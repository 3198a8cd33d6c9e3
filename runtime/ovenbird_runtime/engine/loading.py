"""Choose who runs an artifact's code, and load it: TVM's virtual machine, or the C++ runtime.

    code = load_code(artifact, device, variant, target, public_key=None, engine=None)
    code.engine                              # "native" where `ovenbird_native` is installed and the code has a plan

Everything is checked before code is loaded.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, get_args

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
) -> Code | NativeCode:
    """Return the variant's code, loaded for `device` by the engine that is named, or else by the one that fits.

    `public_key` is what the artifact was opened with. Raises ArtifactError, MachineError, EngineError, WrongOption.
    """
    native = _native_code(artifact, device, variant, target, public_key, _engine_name(engine))
    return native or _machine_code(artifact, device, variant, target)


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
) -> NativeCode | None:
    """Load the code by the C++ runtime; None where TVM's is to run it. Raises as `load` does."""
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
    try:
        return native.NativeCode(artifact, variant, target, public_key)
    except (PlanMissing, EngineLoadFailed):
        if engine == "native":
            raise
        return None


def unknown_to_native(manifest: Manifest) -> str:
    """Return what of a manifest the C++ runtime does not know, and would refuse; nothing where it knows all."""
    steps = [step for program in manifest.programs.values() for step in program.postprocess]
    return "reads lines of text" if any(isinstance(step, Ctc) for step in steps) else ""


def _machine_code(artifact: Artifact, device: Device, variant: VariantRef, target: Target) -> Code:
    """Load the code by TVM's runtime. Raises as `load` does."""
    # The digests of 100 MB take about as long as the imports do: side by side, and both before the code is
    # loaded.
    with ThreadPoolExecutor(1, "ovenbird-check") as thread:
        check = thread.submit(_check_files, artifact, variant, target)
        from .ffi import import_ffi
        from .virtual_machine import Code

        import_ffi()
    library, weights = check.result()
    return Code(library, target, artifact.manifest.programs, weights, device)


def _check_files(artifact: Artifact, variant: VariantRef, target: Target) -> tuple[SealedFile, dict[str, MappedFile]]:
    """Check the digests of all files but other variants' own; return this one's code and weights, as they were then."""
    code, weights = f"{variant.path}/model.so", {tensor.file for tensor in target.tensors}
    others = tuple(f"{ref.path}/" for ref in artifact.manifest.variants if ref != variant)
    skipped = (*others, "weights/")
    artifact.verify(name for name in artifact.manifest.files if not name.startswith(skipped) and name != code)
    return artifact.seal(code), {name: artifact.map(name) for name in sorted(weights)}
