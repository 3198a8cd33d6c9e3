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
from typing import TYPE_CHECKING, Any, Literal

from ovenbird.errors import TargetInvalid, UnknownTarget, suggest
from ovenbird.host import describe_host
from ovenbird.resources import resource_folder
from ovenbird_runtime.machine.cpu import this_machine, version_pair

if TYPE_CHECKING:
    import tvm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TARGET_FILE = "target.toml"


@dataclass(frozen=True)
class TargetSpec:
    """One target. Sizes in bytes; `features` are the names of /proc/cpuinfo that the machine must have.

    `linker`: commands, the first that is there is taken (`toolchain.find_linker`); none: the machine's own compiler.
    """

    name: str
    summary: str
    kind: Literal["llvm", "cuda"]
    arch: Literal["x86_64", "aarch64"]
    triple: str
    mcpu: str
    mattr: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    vector_bits: int = 128
    registers: int = 16
    cores: int = 1
    l1d_bytes: int = 32 * 1024
    l2_bytes: int = 256 * 1024
    l3_bytes: int = 0
    glibc: str = "2.28"
    linker: tuple[str, ...] = ()
    linker_hint: str = ""
    cuda_arch: str = ""
    min_driver: str = ""
    attributes: tuple[tuple[str, Any], ...] = ()

    def tvm_target(self) -> tvm.target.Target:
        """Return TVM's own target: for `llvm` the triple, cpu and features; for `cuda` the arch, with an llvm host."""
        import tvm

        host: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.mcpu,
            "num-cores": self.cores,
        }
        if self.mattr:
            host["mattr"] = list(self.mattr)
        if self.kind == "llvm":
            return tvm.target.Target({**host, **dict(self.attributes)})
        return tvm.target.Target({"kind": "cuda", "arch": self.cuda_arch, "host": host, **dict(self.attributes)})


def target_folders(root: Path | None = None) -> dict[str, Path]:
    """Return every target's name and folder, sorted by name. A folder is a target when it holds a `target.toml`."""
    root = root or resource_folder("targets")
    if not root.is_dir():
        raise TargetInvalid(f"no folder of targets at {root}; the installation is incomplete")
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / TARGET_FILE).is_file()}


def find_target(name: str, root: Path | None = None) -> Path:
    """Return the folder of the target `name`. Raises UnknownTarget with the names that are close."""
    folders = target_folders(root)
    if name not in folders:
        raise UnknownTarget(f"unknown target {name!r}{suggest(name, folders)} (`ovenbird targets` lists all)")
    return folders[name]


def load_target(name: str, root: Path | None = None) -> TargetSpec:
    """Read the target `name`. Raises UnknownTarget, TargetInvalid."""
    return parse_target(name, find_target(name, root) / TARGET_FILE)


def parse_target(name: str, path: Path) -> TargetSpec:
    """Read one `target.toml`. Raises TargetInvalid naming the field."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TargetInvalid(f"{path}: {error}") from None
    fields: dict[str, Any] = {"name": name}
    if table.pop("detect", False):
        fields.update(describe_host())
    known = {field.name: str(field.type) for field in dataclasses.fields(TargetSpec)}
    for key, value in table.items():
        if isinstance(value, dict) and key != "attributes":
            continue  # another command's table
        if key not in known:
            raise TargetInvalid(f"{path}: unknown field {key!r}{suggest(key, known)}")
        fields[key] = _convert(known[key], value, f"{path}: {key}")
    missing = [
        field.name
        for field in dataclasses.fields(TargetSpec)
        if field.default is dataclasses.MISSING and field.name not in fields
    ]
    if missing:
        raise TargetInvalid(f"{path}: lacks {', '.join(missing)}")
    return TargetSpec(**fields)


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


def _convert(kind: str, value: Any, where: str) -> Any:
    """Check one TOML value against the dataclass's annotation (a string, since annotations are not evaluated)."""
    if kind.startswith("tuple[tuple"):
        good, value = isinstance(value, dict), tuple(value.items()) if isinstance(value, dict) else value
    elif kind.startswith("tuple"):
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        value = tuple(value) if good else value
    elif kind == "int":
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif kind.startswith("Literal"):
        good = isinstance(value, str) and f"'{value}'" in kind.replace('"', "'")
    else:
        good = isinstance(value, str)
    if not good:
        raise TargetInvalid(f"{where} is {value!r}, expected {kind}")
    return value
