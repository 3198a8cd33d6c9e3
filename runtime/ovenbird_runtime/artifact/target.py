"""`target.json`: what one variant's code needs of the machine, and how to call it.

    target = decode_target(data)                 # checked strictly
    check_target(target, manifest)               # and against the manifest it came with
    target_bytes(target)                         # the bytes to write

All of it is also to be had from `manifest.py`, which writers import.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from ..errors import ManifestInvalid, ManifestTooNew, shown
from ..limits import (
    ALIGNMENT_BYTES,
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    MAX_NAME_CHARS,
    MAX_RANK,
    MAX_TENSORS,
    SCHEMA_VERSION,
)
from ..machine.devices import CodeKind
from .agreement import Precision
from .fields import ITEM_BYTES, Batch, Dim, Dtype, FilePath, Folder, Free, ProgramName, SchemaVersion, Version
from .parity import variant_name
from .program import check_call, check_unique
from .schema import Count, Json, Range, Text, decode, dump, encode, parse
from .schema1 import upgrade_target
from .steps import Side

if TYPE_CHECKING:
    from .manifest import Manifest


@dataclass(frozen=True)
class Entry:
    """One program compiled for one batch size (and image size): its function, and which tensors follow the inputs."""

    program: ProgramName
    batch: Batch
    size: Annotated[tuple[Side, ...], Count(0, 2)]
    """Height and width of the images it takes, in pixels; empty where the program has but one size."""
    function: Annotated[str, Text(r"[A-Za-z_][A-Za-z0-9_]*", MAX_NAME_CHARS)]
    weights: Annotated[tuple[Annotated[int, Range(0, MAX_TENSORS)], ...], Count(0, MAX_TENSORS)]


@dataclass(frozen=True)
class WeightTensor:
    """One packed weight: its place in a weights file (offset in bytes), dtype and shape."""

    file: FilePath
    offset: Annotated[int, Range(0, MAX_FILE_BYTES)]
    dtype: Dtype
    shape: Annotated[tuple[Dim, ...], Count(0, MAX_RANK)]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        size = ITEM_BYTES[self.dtype]
        for dim in self.shape:
            size *= dim
        return size


@dataclass(frozen=True)
class Target:
    """`target.json`: what the code beside it needs of the machine, and how to call it."""

    schema_version: SchemaVersion
    target: Folder
    precision: Precision
    """Of the arithmetic."""
    kind: CodeKind
    triple: Free
    arch: Literal["x86_64", "aarch64"]
    cpu_features: Annotated[tuple[Annotated[str, Text(r"[a-z0-9_.\-]+", 64)], ...], Count(0, 512)]
    """Names as /proc/cpuinfo spells them; all are required."""
    glibc: Version
    """The oldest glibc that the library runs on, as "2.28"."""
    tvm: Free
    tvm_ffi: Free
    alignment: Annotated[int, Range(ALIGNMENT_BYTES, ALIGNMENT_BYTES)]
    vector_bits: Annotated[int, Range(0, 65536)]
    entries: Annotated[tuple[Entry, ...], Count(1, MAX_ENTRIES)]
    tensors: Annotated[tuple[WeightTensor, ...], Count(0, MAX_TENSORS)]
    compute: Annotated[tuple[Annotated[str, Text(r"[a-z][0-9a-z_.\-]*", 16)], ...], Count(0, 64)] = ()
    """GPU architectures that the code was built for; empty for a CPU."""
    driver: Annotated[str, Text(r"([0-9]{1,3}\.[0-9]{1,3})?", 8)] = ""
    """The oldest CUDA version that the GPU's driver must know, as "13.0"; empty for a CPU."""
    resample: Annotated[str, Text(r"([A-Za-z_][A-Za-z0-9_]*)?", MAX_NAME_CHARS)] = ""
    """The function that pre-processes images (`preprocessor.ResampleKernel`); empty where the code has none."""

    @property
    def variant(self) -> str:
        """The variant's name (`variant_name`)."""
        return variant_name(self.target, self.precision)

    def entries_of(self, program: str) -> tuple[Entry, ...]:
        """Return what was compiled of one program."""
        return tuple(entry for entry in self.entries if entry.program == program)


def decode_target(data: bytes, where: str = "target.json", precision: Precision = "f32") -> Target:
    """Read the bytes of a target.json; `precision` is that of one of schema 1, which does not say it.

    Raises as `decode_manifest` does.
    """
    value = parse(data, where)
    if check_version(value, where) == 1:
        value = upgrade_target(value, precision, where)
    return decode(Target, value, where)


def target_bytes(target: Target) -> bytes:
    """Return the bytes of `target.json`. Raises ManifestInvalid where the target is not valid."""
    data = dump(encode(target))
    decode_target(data)
    return data


def check_version(value: Json, where: str) -> int:
    """Return a file's schema version, 0 where it has none that is known; one for a later runtime is refused before
    anything else of it is judged. Raises ManifestTooNew.
    """
    version = value.get("schema_version") if isinstance(value, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        return 0
    if version > SCHEMA_VERSION:
        raise ManifestTooNew(
            f"{where} has schema version {shown(version)}, this runtime reads up to "
            f"{SCHEMA_VERSION}: upgrade ovenbird-runtime"
        )
    return version


def check_target(target: Target, manifest: Manifest, where: str = "target.json") -> None:
    """Check a target against the manifest it came with. Raises ManifestInvalid."""
    check_unique([f"{entry.program} and batch {entry.batch}" for entry in target.entries], "entries", where)
    check_unique([entry.function for entry in target.entries], "functions", where)
    for entry in target.entries:
        program = manifest.programs.get(entry.program)
        if program is None:
            raise ManifestInvalid(f"{where}: {entry.function} is of program {shown(entry.program)}, which is unknown")
        check_call(program, entry.batch, where)
        if entry.size and entry.size != program.image_size:
            raise ManifestInvalid(
                f"{where}: {entry.function} takes images of {shown(entry.size)}, the program {program.image_size}"
            )
        bad = [index for index in entry.weights if index >= len(target.tensors)]
        if bad:
            raise ManifestInvalid(f"{where}: {entry.function} wants tensor {bad[0]}, there are {len(target.tensors)}")
    for name, program in manifest.programs.items():
        batches = [entry.batch for entry in target.entries_of(name)]
        if not batches:
            raise ManifestInvalid(f"{where}: no entry is of program {name}")
        if not program.batched and batches != [1]:
            raise ManifestInvalid(f"{where}: a network without a batch dimension has one entry, for batch 1")
    _check_tensors(target, manifest, where)


def _check_tensors(target: Target, manifest: Manifest, where: str) -> None:
    for index, tensor in enumerate(target.tensors):
        record = manifest.files.get(tensor.file)
        if record is None:
            raise ManifestInvalid(f"{where}: tensor {index} is in {shown(tensor.file)}, which is not in the file table")
        if tensor.offset % target.alignment:
            raise ManifestInvalid(
                f"{where}: tensor {index} begins at byte {tensor.offset}, not a multiple of {target.alignment}"
            )
        if tensor.offset + tensor.nbytes > record.size:
            raise ManifestInvalid(
                f"{where}: tensor {index} ends at byte {tensor.offset + tensor.nbytes}, its file has {record.size}"
            )
        if math.prod(max(1, dim) for dim in tensor.shape) > MAX_FILE_BYTES:  # with a 0 among them it has no bytes
            raise ManifestInvalid(f"{where}: tensor {index} has a shape that is too large: {shown(tensor.shape)}")
