"""The Containerfile of a target: one template, filled with what the target says.

text = render(find_target("aarch64-generic"))       # what targets/aarch64-generic/Containerfile holds

`ci/steps/reference.py` writes the files, and a test holds them to this. A target's `[container]` table may name
`base`, `compile_base` (images), `platform`, `serve` (more arguments of the server).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovenbird.errors import TargetInvalid, suggest
from ovenbird.targets import TARGET_FILE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONTAINERFILE = "Containerfile"
BASE = "python:3.12-slim"
COMPILE_BASE = "python:3.12"
TEMPLATE = Path(__file__).with_name("Containerfile.template")
PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
# A linker from the package index, for a building machine of another architecture than the target's.
LINKER = "ziglang"
# What NVIDIA's container runtime looks at when it lends a container the driver.
NVIDIA = " \\\n    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility"
PORT = 8000


@dataclass(frozen=True)
class Container:
    """A target's image: its base, its platform ("" is the building machine's), how it serves."""

    name: str
    summary: str
    arch: str
    kind: str
    base: str = BASE
    compile_base: str = COMPILE_BASE
    platform: str = ""
    serve: tuple[str, ...] = ()


def read_container(folder: Path) -> Container:
    """Read what the target in `folder` says about its image. Raises TargetInvalid naming the field.

    The file is read as it stands: a target that detects its machine has one Containerfile for every machine.
    """
    path = folder / TARGET_FILE
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TargetInvalid(f"{path}: {error}") from None
    own = table.get("container", {})
    known = ("base", "compile_base", "platform", "serve")
    for key, value in own.items():
        if key not in known:
            raise TargetInvalid(f"{path}: [container] has an unknown field {key!r}{suggest(key, known)}")
        several = key == "serve"
        strings = value if isinstance(value, list) else [value]
        if several != isinstance(value, list) or not all(isinstance(item, str) for item in strings):
            raise TargetInvalid(
                f"{path}: [container] {key} is {value!r}, expected {'strings' if several else 'a string'}"
            )
    arch = str(table.get("arch", ""))
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in own.items()}
    fields.setdefault("platform", PLATFORMS.get(arch, ""))
    kind = str(table.get("kind", "llvm"))
    fields.setdefault("serve", ("--device", "cuda") if kind == "cuda" else ())
    return Container(folder.name, str(table.get("summary", "")), arch, kind, **fields)


def render(folder: Path) -> str:
    """Return the text of the Containerfile of the target in `folder`. Raises TargetInvalid."""
    container = read_container(folder)
    serve = ["serve", "/artifact", "--host", "0.0.0.0", "--port", str(PORT), *container.serve]
    values = {
        "TARGET": container.name,
        "SUMMARY": container.summary,
        "BASE": container.base,
        "COMPILE_BASE": container.compile_base,
        "COMPILE_EXTRA": "[cuda]" if container.kind == "cuda" else "",
        "LINKER": f' $(test "$(uname -m)" = {container.arch} || echo {LINKER})' if container.arch else "",
        "ARCH": container.arch or "$(uname -m)",
        "PLATFORM": container.platform or "$BUILDPLATFORM",
        "EXTRAS": "serve,cuda" if container.kind == "cuda" else "serve",
        "ENV": NVIDIA if container.kind == "cuda" else "",
        "PORT": str(PORT),
        "CMD": json.dumps(serve),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
