"""`target.json`: what one variant's code needs of the machine, and how to call it.

    target = decode_target(data)                 # checked strictly
    target_bytes(target)                         # the bytes to write

All of it is also to be had from `manifest.py`, which writers import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ..dataclass import dataclass
from ..errors import ManifestTooNew, shown
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
from .schema import Count, Json, Range, Text, decode, dump, encode, parse
from .schema1 import upgrade_target
from .steps import Side

if TYPE_CHECKING:
    pass


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
    """`target.json`: what the code next to it needs of the machine, and how to call it."""

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
    resample_linear: Annotated[str, Text(r"([A-Za-z_][A-Za-z0-9_]*)?", MAX_NAME_CHARS)] = ""
    """The one for OpenCV's filter (`preprocess.linear`); empty where the code has none."""

    @property
    def variant(self) -> str:
        """The variant's name (`variant_name`)."""
        return variant_name(self.target, self.precision)

    def entries_of(self, program: str, size: tuple[int, ...] = ()) -> tuple[Entry, ...]:
        """Return what was compiled of one program, for one image size or for all."""
        return tuple(entry for entry in self.entries if entry.program == program and size in ((), entry.size))


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
