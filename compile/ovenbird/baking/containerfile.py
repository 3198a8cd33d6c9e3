"""The Containerfile of a target: one template, filled with what the target says.

text = render(read_container(find_target("aarch64-generic")))

It is written where an image is built, and printed by `ovenbird targets NAME --containerfile`. A target's `[container]`
table may name `base`, `compile_base` (images), `platform`, `serve` (more arguments of the server).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ovenbird.backends.table import BACKENDS
from ovenbird.errors import TargetInvalid
from ovenbird.targets import TARGET_FILE, decode_table, read_toml
from ovenbird_runtime.machine.devices import CPU

BASE = "python:3.12-slim"
COMPILE_BASE = "python:3.12"
TEMPLATE = Path(__file__).with_name("Containerfile.template")
PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
# A linker from the package index, for a building machine of another architecture than the target's.
LINKER = "ziglang"
PORT = 8000


@dataclass(frozen=True)
class ContainerTable:
    """The table `[container]` of a target, as it is written."""

    base: str = BASE
    compile_base: str = COMPILE_BASE
    platform: str | None = None
    serve: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Container:
    """A target's image: its base, its platform ("" is the building machine's), how it serves."""

    name: str
    summary: str
    arch: str
    kind: str
    base: str
    compile_base: str
    platform: str
    serve: tuple[str, ...]


def read_container(folder: Path) -> Container:
    """Read what the target in `folder` says about its image. Raises TargetInvalid naming the field.

    The file is read as it stands: a target that detects its machine has one Containerfile for every machine.
    """
    path = folder / TARGET_FILE
    target = read_toml(path)
    table = decode_table(ContainerTable, target.get("container", {}), f"{path}: container")
    arch, kind = str(target.get("arch", "")), str(target.get("kind", "llvm"))
    if kind not in BACKENDS:
        raise TargetInvalid(f"{path}: kind is {kind!r}, expected one of {', '.join(BACKENDS)}")
    device = BACKENDS[kind].device
    served = () if device == CPU.name else ("--device", device)
    return Container(
        name=folder.name,
        summary=str(target.get("summary", "")),
        arch=arch,
        kind=kind,
        base=table.base,
        compile_base=table.compile_base,
        platform=PLATFORMS.get(arch, "") if table.platform is None else table.platform,
        serve=served if table.serve is None else table.serve,
    )


def render(container: Container) -> str:
    """Return the text of a target's Containerfile."""
    backend = BACKENDS[container.kind]
    environment = " ".join(f"{name}={value}" for name, value in backend.environment.items())
    serve = ["serve", "/artifact", "--host", "0.0.0.0", "--port", str(PORT), *container.serve]
    values = {
        "TARGET": container.name,
        "SUMMARY": container.summary,
        "BASE": container.base,
        "COMPILE_BASE": container.compile_base,
        "COMPILE_EXTRA": f"[{backend.extra}]" if backend.extra else "",
        "LINKER": f' $(test "$(uname -m)" = {container.arch} || echo {LINKER})' if container.arch else "",
        "ARCH": container.arch or "$(uname -m)",
        "PLATFORM": container.platform or "$BUILDPLATFORM",
        "EXTRAS": f"serve,{backend.extra}" if backend.extra else "serve",
        "ENV": f" \\\n    {environment}" if environment else "",
        "PORT": str(PORT),
        "CMD": json.dumps(serve),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
