"""Targets: what code to emit, for which processor, linked how. A target is a folder `targets/<name>/target.toml`.

    spec = load_target("host")
    spec.vector_bits, spec.features     # 512, ("avx", "avx2", "avx512f", ...)
    spec.tvm_target()                   # what TVM is given

`target.toml` holds the fields of `TargetSpec` (all but `name`); tables it does not know (`[container]`, `[tuning]`)
belong to other commands. `detect = true` fills every field that is absent from the machine this runs on.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from ovenbird.errors import TargetInvalid, UnknownTarget, suggest
from ovenbird.host.detection import describe_host
from ovenbird.resources import resource_folder
from ovenbird_runtime.errors import ManifestInvalid
from ovenbird_runtime.machine.cpu import this_machine, version_pair
from ovenbird_runtime.machine.devices import CodeKind
from ovenbird_runtime.manifest.schema import Range, decode, encode, fields_of

if TYPE_CHECKING:
    import tvm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TARGET_FILE = "target.toml"
RENAMED = {"cuda_arch": "chip"}
"""What files of version 0.1 call a field, and what it is called now."""
T = TypeVar("T")
Quantity = Annotated[int, Range(0, 1 << 40)]


@dataclass(frozen=True)
class TargetSpec:
    """One target. Sizes in bytes; `features` are the names of /proc/cpuinfo that the machine must have.

    `memory_bytes_per_cycle`: from memory, for all cores together (`host.figures`); 0 where that is not known.
    `chip`: what computes, where that is not the processor. `linker`: commands, the first that is there is taken
    (`linking.linkers`); none: the machine's own compiler.
    """

    name: str
    summary: str
    kind: CodeKind
    arch: Literal["x86_64", "aarch64"]
    triple: str
    mcpu: str
    mattr: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    vector_bits: Quantity = 128
    registers: Quantity = 16
    cores: Quantity = 1
    l1d_bytes: Quantity = 32 * 1024
    l2_bytes: Quantity = 256 * 1024
    l3_bytes: Quantity = 0
    memory_bytes_per_cycle: Quantity = 0
    glibc: str = "2.28"
    linker: tuple[str, ...] = ()
    linker_hint: str = ""
    chip: str = ""
    min_driver: str = ""
    attributes: tuple[tuple[str, Any], ...] = ()

    def tvm_target(self) -> tvm.target.Target:
        """Return TVM's own target: a processor's triple, cpu and features, or a chip with that as its host."""
        import tvm

        host: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.mcpu,
            "num-cores": self.cores,
        }
        if self.mattr:
            host["mattr"] = list(self.mattr)
        if not self.chip:
            return tvm.target.Target({**host, **dict(self.attributes)})
        return tvm.target.Target({"kind": self.kind, "arch": self.chip, "host": host, **dict(self.attributes)})


def target_folders() -> dict[str, Path]:
    """Return every target's name and folder, sorted by name. A folder is a target when it holds a `target.toml`."""
    root = resource_folder("targets")
    if not root.is_dir():
        raise TargetInvalid(f"no folder of targets at {root}; the installation is incomplete")
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / TARGET_FILE).is_file()}


def find_target(name: str) -> Path:
    """Return the folder of the target `name`. Raises UnknownTarget with the names that are close."""
    folders = target_folders()
    if name not in folders:
        raise UnknownTarget(f"unknown target {name!r}{suggest(name, folders)} (`ovenbird targets` lists all)")
    return folders[name]


def load_target(name: str) -> TargetSpec:
    """Read the target `name`. Raises UnknownTarget, TargetInvalid."""
    return parse_target(name, find_target(name) / TARGET_FILE)


def parse_target(name: str, path: Path) -> TargetSpec:
    """Read one `target.toml`. Raises TargetInvalid naming the field."""
    table = read_toml(path)
    attributes = table.get("attributes", {})
    if not isinstance(attributes, dict):
        raise TargetInvalid(f"{path}: attributes is {attributes!r}, expected a table")
    fields: dict[str, Any] = {"name": name}
    if table.pop("detect", False):
        fields |= encode(describe_host())
    fields |= {
        RENAMED.get(key, key): value for key, value in table.items() if not isinstance(value, dict)
    }  # tables: other commands'
    spec = decode_table(TargetSpec, fields, f"{path}: target")
    return dataclasses.replace(spec, attributes=tuple(attributes.items()))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises TargetInvalid."""
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise TargetInvalid(f"{path}: {error}") from None


def decode_table(cls: type[T], table: dict[str, Any], where: str) -> T:
    """Make the dataclass `cls` of a table, as strictly as the runtime reads JSON.

    Raises TargetInvalid naming the field, its value and what was expected.
    """
    kind: type = cls
    known = [name for name, _, _ in fields_of(kind)]
    for key in table:
        if key not in known:
            raise TargetInvalid(f"{where} has an unknown field {key!r}{suggest(key, known)}")
    try:
        return decode(cls, table, where)
    except ManifestInvalid as error:
        raise TargetInvalid(str(error)) from None


def why_not_here(spec: TargetSpec) -> str:
    """Return why this machine cannot run the processor's part of `spec`'s code, or nothing where it can."""
    machine = this_machine()
    if spec.arch != machine.arch:
        return f"it is code for {spec.arch}, this machine is {machine.arch}"
    missing = sorted(set(spec.features) - machine.features)
    if missing:
        return f"this machine lacks {' '.join(missing)}"
    if version_pair(spec.glibc) > machine.glibc:
        return f"it needs glibc {spec.glibc}, this machine has {'.'.join(map(str, machine.glibc))}"
    return ""
