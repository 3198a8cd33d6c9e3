"""Choose the variant of an artifact that this machine can run; what would end in SIGILL is refused here.

variant, target = choose_variant(artifact, "cpu", this_machine())
"""

from __future__ import annotations

from ..errors import (
    DeviceUnavailable,
    GlibcTooOld,
    MachineError,
    MissingCpuFeatures,
    NoVariant,
    VersionMismatch,
    WrongArchitecture,
    WrongOption,
    shown,
)
from ..machine.cpu import MachineFacts, version_pair
from ..machine.device_kind import DeviceChip
from ..machine.devices import DEVICES, Device, parse_devices
from ..machine.versions import TVM_FFI_VERSION, TVM_VERSION
from ..manifest.agreement import Precision
from ..manifest.manifest import Target, VariantRef
from .artifact import Artifact

EXACTNESS: tuple[Precision, ...] = ("f32", "f16", "bf16", "int8")
"""The most exact first: numbers of less precision are taken where they are asked for, or where there are no others."""


def check_runs_here(target: Target, machine: MachineFacts) -> None:
    """Raise the MachineError that says why code for `target` does not run on `machine`; return where it does."""
    name = target.target
    if target.arch != machine.arch:
        raise WrongArchitecture(
            f"{name} is code for {target.arch}, this machine is {machine.arch}: compile with --target for it"
        )
    missing = sorted(set(target.cpu_features) - machine.features)
    if missing:
        listed = " ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        raise MissingCpuFeatures(
            f"{name} needs processor features that this machine lacks: {listed}; compile with --target for it"
        )
    if version_pair(target.glibc) > machine.glibc:
        here = ".".join(map(str, machine.glibc)) if machine.glibc != (0, 0) else "none"
        raise GlibcTooOld(
            f"{name} needs glibc {target.glibc}, this machine has {here}: compile with an older glibc floor"
        )
    if (target.tvm, target.tvm_ffi) != (TVM_VERSION, TVM_FFI_VERSION):
        raise VersionMismatch(
            f"{name} was compiled with tvm {shown(target.tvm)} and tvm-ffi {shown(target.tvm_ffi)}, "
            f"this runtime has {TVM_VERSION} and {TVM_FFI_VERSION}: "
            "compile again, or install the runtime of that version"
        )


def check_device_here(target: Target) -> None:
    """Raise DriverMissing, DriverTooOld or GpuMissing where the first device of the code's kind cannot run it."""
    kind = next(kind for kind in DEVICES.values() if kind.code == target.kind)
    kind.probe(0).check(target)


def choose_variant(
    artifact: Artifact,
    device: Device | str,
    machine: MachineFacts,
    name: str | None = None,
    precision: Precision | None = None,
) -> tuple[VariantRef, Target]:
    """Return the variant to run on `device`, and its target: the best that runs here, of those for the target `name`
    and of this `precision` where they are given.

    Of those that run here: the most exact, then the one that the device's chip ranks highest (a GPU: for the latest
    chip up to itself), then the one with the widest vectors, then the one that asks for the most features. Raises
    WrongOption for a name or a precision that the artifact lacks; DriverMissing, DriverTooOld, GpuMissing;
    DeviceUnavailable where no variant is for the device; where one variant is refused, its own MachineError; where
    several are, NoVariant with all reasons.
    """
    device = parse_devices(device)[0] if isinstance(device, str) else device
    variants = [variant for variant in artifact.manifest.variants if name in (None, variant.target, variant.name)]
    if not variants:
        held = ", ".join(variant.name for variant in artifact.manifest.variants)
        raise WrongOption(f"target is {shown(name)}, the artifact holds {held}")
    variants = [variant for variant in variants if precision in (None, variant.precision)]
    if not variants:
        held = ", ".join(f"{variant.name} ({variant.precision})" for variant in artifact.manifest.variants)
        raise WrongOption(f"precision is {shown(precision)}, the artifact holds {held}")
    candidates = [(variant, artifact.read_target(variant)) for variant in variants]
    of_kind = [(variant, target) for variant, target in candidates if target.kind == device.kind.code]
    if not of_kind:
        others = ", ".join(sorted(f"{target.target} ({target.kind})" for _, target in candidates))
        raise DeviceUnavailable(
            f"the artifact has no code for device {shown(str(device))}, only {others}: compile with a target for it"
        )
    chip = device.kind.probe(device.index)
    fitting, reasons = [], []
    for variant, target in of_kind:
        try:
            check_runs_here(target, machine)
            chip.check(target)
            fitting.append((variant, target))
        except MachineError as error:
            reasons.append(error)
    if fitting:
        return max(fitting, key=lambda pair: rank(pair[1], chip))
    if len(reasons) == 1:
        raise reasons[0]
    asked = {feature for _, target in of_kind for feature in target.cpu_features}
    raise NoVariant(f"no variant runs on this machine ({describe(machine, asked)}): " + "; ".join(map(str, reasons)))


def rank(target: Target, chip: DeviceChip) -> tuple[int, tuple[int, ...], int, int]:
    """Return what orders the variants that run here, the best highest."""
    return -EXACTNESS.index(target.precision), chip.rank(target), target.vector_bits, len(target.cpu_features)


def describe(machine: MachineFacts, asked: set[str]) -> str:
    """Return what a machine is, and which of the features that are asked for it has."""
    glibc = ".".join(map(str, machine.glibc)) if machine.glibc != (0, 0) else "none"
    had = sorted(asked & machine.features)
    return f"{machine.arch}, glibc {glibc}, of the features asked for it has {' '.join(had) or 'none'}"
