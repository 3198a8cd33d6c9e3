"""One file that is a model: the C++ runtime's command, and an artifact behind it.

    write_executable(artifact, "x86-64-v3", runtime=Path("ovenbird-run"), output=Path("resnet50"))
    # ./resnet50 run photo.jpg; ./resnet50 bench

It needs no library and no interpreter. `runtime/cpp/src/artifact/bundle.h` describes what lies behind the program:
files at multiples of a page, an index, a trailer. The runtime checks them by the manifest, as those of a folder;
they are checked here as they are copied.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ovenbird.errors import BakeFailed, UsageError, output_error
from ovenbird.replacing import replacing
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.copying import MANIFEST
from ovenbird_runtime.integrity.ed25519 import SIGNATURE_BYTES
from ovenbird_runtime.integrity.files import open_plain, read_up_to
from ovenbird_runtime.integrity.signatures import signature_name, signers

PAGE_BYTES = 4096
MAGIC = b"OVENBIRD"
WEIGHTS, EVIDENCE = "weights/", "evidence/"
MACHINES = {b"\x3e\x00": "x86_64", b"\xb7\x00": "aarch64"}
"""Architectures by e_machine of the ELF header."""


@dataclass(frozen=True)
class ExecutableReport:
    """What was written. Sizes in bytes; `weights_folder` is None where the weights are in the file."""

    path: str
    target: str
    arch: str
    size_bytes: int
    runtime_bytes: int
    weights_folder: str | None


def write_executable(
    artifact: Artifact,
    target: str,
    runtime: Path,
    output: Path,
    *,
    weights_inside: bool = True,
    evidence: bool = True,
) -> ExecutableReport:
    """Write the executable of an artifact's code for a target, by a static `ovenbird-run` for its processor.

    With `weights_inside` False the weights go to the folder of its name and ".weights", which must stay next to it.
    Without `evidence` it is smaller, and selftest refuses. Raises ArtifactError, UsageError,
    BakeFailed, OutputError.
    """
    arch = arch_of(artifact, target)
    program = _program(runtime, arch)
    folder = None if weights_inside else Path(f"{output}.weights")
    try:
        with replacing(output) as partial:
            with partial.open("wb") as file:
                file.write(program)
                size = write_bundle(file, artifact, target, folder, evidence)
            partial.chmod(0o755)
    except OSError as error:
        raise output_error(error, str(output)) from None
    inside = None if folder is None else str(folder)
    return ExecutableReport(str(output), target, arch, size, len(program), inside)


def arch_of(artifact: Artifact, target: str) -> str:
    """Return the architecture that a target of the artifact is code for. Raises ArtifactError."""
    return artifact.read_target(next(one for one in artifact.manifest.variants if one.target == target)).arch


def write_bundle(
    file: BinaryIO, artifact: Artifact, target: str, weights: Path | None = None, evidence: bool = True
) -> int:
    """Write the artifact's code for a target behind what is in `file`, checked; return how long the file is then.

    With `weights` those go to that folder; without `evidence` that is left out. Raises ArtifactError, OSError.
    """
    variants = [variant for variant in artifact.manifest.variants if variant.target == target]
    described = [artifact.read_target(variant) for variant in variants]
    wanted = {tensor.file for one in described for tensor in one.tensors}
    folders = tuple(f"{variant.path}/" for variant in variants)
    names = [
        name
        for name in artifact.manifest.files
        if name in wanted
        or name.startswith(folders)
        or name.endswith("/target.json")  # of all: a runtime reads them before it chooses
        or not name.startswith(("targets/", WEIGHTS, *(() if evidence else (EVIDENCE,))))
    ]
    index = f"target {target}\n"
    for name, content in _contents(artifact, names):
        if weights is not None and name.startswith(WEIGHTS):
            weights.mkdir(parents=True, exist_ok=True)
            (weights / name.removeprefix(WEIGHTS)).write_bytes(content)
            continue
        file.write(bytes(-file.tell() % PAGE_BYTES))
        index += f"{file.tell()} {len(content)} {name}\n"
        file.write(content)
    file.write(index.encode() + struct.pack("<QQ", file.tell(), len(index.encode())) + MAGIC)
    return file.tell()


def _contents(artifact: Artifact, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of these names, checked, then the manifest and its signatures. Raises ArtifactError."""
    for name in sorted(names):
        yield name, artifact.read(name, artifact.manifest.files[name].size)
    yield MANIFEST, artifact.manifest_bytes
    for key in signers(artifact.root):
        descriptor = open_plain(artifact.root, signature_name(key))
        try:
            yield signature_name(key), read_up_to(descriptor, SIGNATURE_BYTES)
        finally:
            os.close(descriptor)


def _program(runtime: Path, arch: str) -> bytes:
    """Read the runtime's command. Raises UsageError where it is none for `arch`."""
    try:
        program = runtime.read_bytes()
    except OSError as error:
        raise UsageError(f"{runtime} cannot be read: {error.strerror}") from None
    found = MACHINES.get(program[18:20]) if program.startswith(b"\x7fELF") else None
    if found is None:
        raise UsageError(f"{runtime} is no executable of Linux: give the C++ runtime's ovenbird-run")
    if found != arch:
        raise UsageError(f"{runtime} is for {found}, the target is {arch}: give one that was built for it")
    if program.endswith(MAGIC):
        raise UsageError(f"{runtime} has a model behind it already: give the C++ runtime's own ovenbird-run")
    if b"/ld-linux" in program[:PAGE_BYTES] or b"/ld-musl" in program[:PAGE_BYTES]:
        raise BakeFailed(f"{runtime} needs a dynamic linker: build it with -DOVENBIRD_STATIC_CLI=ON")
    return program
