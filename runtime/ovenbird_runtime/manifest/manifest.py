"""THE schema: what `manifest.json` of an artifact says, and (from `target.py`) its `target.json`.

The compiler writes through these classes, the runtime reads through them.

    manifest = Manifest(schema_version=2, model=ModelInfo("resnet50", ...), programs={"main": Program(...)}, ...)
    seal(manifest)                                    # the bytes of manifest.json, with its own digest in them
    decode_manifest(data)                             # strict: a changed byte, an unknown field is refused

What a program is stands in `program.py`, what its outputs mean in `answers.py`, how several make text in
`generation.py`, how they were verified in `parity.py`. A manifest of schema 1 is read as one of schema 2
(`schema1.py`), so that nothing else knows of it.

The JSON Schema of both files is in `artifacts/*.schema.json` (`python -m ovenbird_runtime.artifact.json_schema
artifacts`). Pure Python: neither TVM nor its FFI is imported here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from ..dataclass import dataclass
from ..errors import ManifestInvalid, UnknownProgram, shown
from ..limits import MAX_FILE_BYTES, MAX_FILES, MAX_IO_TENSORS, MAX_PROGRAMS, MAX_VARIANTS
from .agreement import Precision
from .answers import AnswerStep, Boxes, Classification, Raw, Vector
from .fields import (
    ITEM_BYTES,
    NAME_TEXT,
    PATH_TEXT,
    PROGRAM_TEXT,
    Dtype,
    FilePath,
    Folder,
    Free,
    Name,
    SchemaVersion,
    Sha256,
)
from .generation import KeptState, TextLoop, check_generation
from .parity import Measured, Parity, ProgramParity, VariantParity, variant_name
from .program import (
    MAIN,
    Preprocess,
    Program,
    ProgramSize,
    TensorSpec,
    check_call,
    check_program,
    check_unique,
    size_text,
    sizes_text,
)
from .schema import LEFT_OUT, Count, Json, Range, decode, dump, encode, parse
from .schema1 import upgrade_manifest
from .target import Entry, Target, WeightTensor, check_version, decode_target, target_bytes

__all__ = [
    "ITEM_BYTES",
    "MAIN",
    "UNSEALED",
    "AnswerStep",
    "Boxes",
    "Classification",
    "Dtype",
    "Entry",
    "FileRecord",
    "Manifest",
    "Measured",
    "ModelInfo",
    "Parity",
    "Preprocess",
    "Program",
    "ProgramParity",
    "ProgramSize",
    "Raw",
    "Target",
    "TensorSpec",
    "VariantParity",
    "VariantRef",
    "Vector",
    "WeightTensor",
    "WeightsInfo",
    "check_manifest",
    "check_target",
    "decode_manifest",
    "decode_target",
    "file_record",
    "seal",
    "target_bytes",
    "variant_name",
]

UNSEALED = "0" * 64
"""Stands in a manifest for its own digest while that digest is taken."""


@dataclass(frozen=True)
class WeightsInfo:
    """Where the weights come from; `random` is true where they are no trained weights at all."""

    origin: Literal["file", "package", "torchvision", "random", "embedded"]
    detail: Free = ""
    random: bool = False
    seed: Annotated[int, Range(0, 2**63 - 1)] | None = None


@dataclass(frozen=True)
class ModelInfo:
    """Which network this is, and under what licence."""

    name: Name
    version: Free
    source_digest: Free
    """sha256 over what was compiled (graph and weights), as the compiler took it."""
    licence: Free
    weights: WeightsInfo


@dataclass(frozen=True)
class VariantRef:
    """The code of a model for one target and precision: the folder holding `model.so` and `target.json`."""

    target: Folder
    path: FilePath
    precision: Precision = "f32"

    @property
    def name(self) -> str:
        """The variant's name: the target's, and the precision where it is not f32."""
        return variant_name(self.target, self.precision)


@dataclass(frozen=True)
class FileRecord:
    """What a file of the artifact must be; size in bytes."""

    size: Annotated[int, Range(0, MAX_FILE_BYTES)]
    sha256: Sha256
    blake3: Sha256 | None = field(default=None, metadata=LEFT_OUT)
    """BLAKE3 of a large file: what it is checked by where it is loaded, on all cores and without SHA instructions."""


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: one model, its programs, how they were verified, and every file of the artifact."""

    schema_version: SchemaVersion
    model: ModelInfo
    programs: Annotated[dict[str, Program], Count(1, MAX_PROGRAMS, PROGRAM_TEXT)]
    parity: Parity | None
    tuning: dict[str, Json]
    variants: Annotated[tuple[VariantRef, ...], Count(1, MAX_VARIANTS)]
    files: Annotated[dict[str, FileRecord], Count(1, MAX_FILES, PATH_TEXT)]
    states: Annotated[dict[str, KeptState], Count(0, MAX_IO_TENSORS, NAME_TEXT)] = field(
        default_factory=dict, metadata=LEFT_OUT
    )
    """What stays between calls of a model that makes text."""
    loop: TextLoop | None = field(default=None, metadata=LEFT_OUT)
    """How the programs make text; None for a model that does not."""
    digest: Sha256 = UNSEALED
    """sha256 of manifest.json with these 64 characters as zeros."""

    def program_name(self, name: str | None = None) -> str:
        """Return `name`, or the only program's for None. Raises UnknownProgram."""
        if name is None and len(self.programs) == 1:
            return next(iter(self.programs))
        if name is None or name not in self.programs:
            given = "no program is named" if name is None else f"program is {shown(name)}"
            raise UnknownProgram(f"{given}, the model has {', '.join(self.programs)}: name one of them")
        return name

    def program(self, name: str | None = None) -> Program:
        """Return the program of this name, or the only one for None. Raises UnknownProgram."""
        return self.programs[self.program_name(name)]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs of the only program. Raises UnknownProgram where there are several, as those below may."""
        return self.program().inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs of the only program."""
        return self.program().outputs

    @property
    def picture_program(self) -> Program:
        """The program that pictures go to: the only one, or the first of the loop."""
        return self.program(None if self.loop is None else self.loop.once[0])

    @property
    def preprocess(self) -> Preprocess:
        """The steps before the program that pictures go to."""
        return self.picture_program.preprocess

    @property
    def postprocess(self) -> tuple[AnswerStep, ...]:
        """The steps after the only program; none where a loop makes the answer."""
        return self.program().postprocess if self.loop is None else ()


def decode_manifest(data: bytes, where: str = "manifest.json") -> Manifest:
    """Read the bytes of a manifest and check everything that can be checked without its files.

    Raises ManifestTooNew for a later schema, ManifestInvalid for anything else that is wrong.
    """
    value = parse(data, where)
    if check_version(value, where) == 1:
        value = upgrade_manifest(value, where)
    manifest = decode(Manifest, value, where)
    sealed = manifest.digest.encode("ascii")
    if manifest.digest == UNSEALED or data.count(sealed) != 1:
        raise ManifestInvalid(
            f"{where}.digest is not a seal: write manifests with ovenbird_runtime.manifest.manifest.seal"
        )
    if hashlib.sha256(data.replace(sealed, UNSEALED.encode("ascii"))).hexdigest() != manifest.digest:
        raise ManifestInvalid(
            f"{where} was changed after it was written: its digest does not match; copy or compile the artifact again"
        )
    check_manifest(manifest, where)
    return manifest


def seal(manifest: Manifest) -> bytes:
    """Return the bytes of `manifest.json`, its own digest filled in. Raises ManifestInvalid."""
    data = dump(encode(dataclasses.replace(manifest, digest=UNSEALED)))
    if data.count(UNSEALED.encode()) != 1:
        raise ManifestInvalid("manifest.json holds 64 zeros elsewhere than in its digest")
    data = data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode())
    decode_manifest(data)
    return data


def file_record(path: Path) -> FileRecord:
    """Return the size and sha256 of a file as it is, for the file table. Raises OSError."""
    data = path.read_bytes()
    return FileRecord(len(data), hashlib.sha256(data).hexdigest())


def check_manifest(manifest: Manifest, where: str = "manifest.json") -> None:
    """Check what one field says about another. Raises ManifestInvalid."""
    check_unique([variant.name for variant in manifest.variants], "variants", where)
    check_unique([variant.path for variant in manifest.variants], "variant paths", where)
    for name, program in manifest.programs.items():
        check_program(program, manifest.files, where if len(manifest.programs) == 1 else f"{where}: {name}")
    for variant in manifest.variants:
        for name in ("model.so", "target.json"):
            if f"{variant.path}/{name}" not in manifest.files:
                raise ManifestInvalid(f"{where}: {variant.path}/{name} is not in the file table")
    check_generation(manifest.programs, manifest.states, manifest.loop, manifest.files, where)
    if "manifest.json" in manifest.files:
        raise ManifestInvalid(f"{where}: the file table cannot hold manifest.json itself")


def check_target(target: Target, manifest: Manifest, where: str = "target.json") -> None:
    """Check a target against the manifest it came with. Raises ManifestInvalid."""
    check_unique([_entry_text(entry, manifest) for entry in target.entries], "entries", where)
    check_unique([entry.function for entry in target.entries], "functions", where)
    for entry in target.entries:
        program = manifest.programs.get(entry.program)
        if program is None:
            raise ManifestInvalid(f"{where}: {entry.function} is of program {shown(entry.program)}, which is unknown")
        if entry.size not in (program.image_sizes if program.sizes else ((), program.image_size)):
            raise ManifestInvalid(
                f"{where}: {entry.function} takes images of {shown(entry.size)}, "
                f"the program {sizes_text(program.image_sizes) if program.sizes else program.image_size}"
            )
        check_call(program.at(entry.size if program.sizes else ()), entry.batch, where)
        bad = [index for index in entry.weights if index >= len(target.tensors)]
        if bad:
            raise ManifestInvalid(f"{where}: {entry.function} wants tensor {bad[0]}, there are {len(target.tensors)}")
    for name, program in manifest.programs.items():
        for size in program.image_sizes:
            batches = [entry.batch for entry in target.entries_of(name, size)]
            if not batches:
                what = f" for images of {size_text(size)}" if size else ""
                raise ManifestInvalid(f"{where}: no entry is of program {name}{what}")
            if not program.batched and batches != [1]:
                raise ManifestInvalid(f"{where}: a network without a batch dimension has one entry, for batch 1")
    _check_tensors(target, manifest, where)


def _entry_text(entry: Entry, manifest: Manifest) -> str:
    """Return what an entry is for; the size of a program that has but one does not count."""
    program = manifest.programs.get(entry.program)
    size = f" and images of {size_text(entry.size)}" if program is not None and program.sizes else ""
    return f"{entry.program} and batch {entry.batch}{size}"


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
