"""THE schema: what `manifest.json` and `target.json` of an artifact say.

The compiler writes through these classes, the runtime reads through them.

    manifest = Manifest(schema_version=1, model=ModelInfo("resnet50", ...), ...)
    seal(manifest)                                    # the bytes of manifest.json, with its own digest in them
    read_manifest(Path("artifacts/resnet50"))         # checked strictly: any byte changed, any field unknown is refused

The JSON Schema of both files is in `artifacts/*.schema.json` (`python -m ovenbird_runtime.json_schema
artifacts`). Pure Python: neither TVM nor its FFI is imported here.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from .errors import ManifestInvalid, ManifestTooNew, shown
from .limits import (
    ALIGNMENT_BYTES,
    MAX_COMPILED_BATCH,
    MAX_DIM,
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_IO_TENSORS,
    MAX_NAME_CHARS,
    MAX_PATH_CHARS,
    MAX_PIPELINES,
    MAX_RANK,
    MAX_STEPS,
    MAX_TENSORS,
    MAX_TEXT_CHARS,
    MAX_VARIANTS,
    SCHEMA_VERSION,
)
from .schema import Count, Json, Range, Text, decode, dump, encode, parse
from .steps import Step, problem

Dtype = Literal[
    "float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"
]
ITEM_BYTES = {"float32": 4, "float16": 2, "float64": 8, "bool": 1} | {
    f"{u}int{b}": b // 8 for u in ("", "u") for b in (8, 16, 32, 64)
}

_NAME = Text(r"[A-Za-z0-9_][A-Za-z0-9_.:/\-]*", MAX_NAME_CHARS)
_FOLDER = Text(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*", MAX_NAME_CHARS)
_PATH = Text(r"([A-Za-z0-9_][A-Za-z0-9_.\-]*/){0,4}[A-Za-z0-9_][A-Za-z0-9_.\-]*", MAX_PATH_CHARS)
_SHA256 = Text(r"[0-9a-f]{64}", 64)
_VERSION = Text(r"[0-9]+(\.[0-9]+)+", 32)
_FREE = Text(r".*", MAX_TEXT_CHARS)

Name = Annotated[str, _NAME]
Free = Annotated[str, _FREE]
FilePath = Annotated[str, _PATH]
Sha256 = Annotated[str, _SHA256]
Dim = Annotated[int, Range(0, MAX_DIM)]
Batch = Annotated[int, Range(1, MAX_COMPILED_BATCH)]

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
class TensorSpec:
    """One input or output: the first dimension may be "N", any batch; all others are fixed."""

    name: Name
    dtype: Dtype
    shape: Annotated[tuple[Dim | Literal["N"], ...], Count(0, MAX_RANK)]
    layout: Annotated[str, Text(r"[A-Za-z]*", MAX_RANK)] = ""

    @property
    def batched(self) -> bool:
        """Whether the first dimension is the batch."""
        return bool(self.shape) and self.shape[0] == "N"

    def with_batch(self, batch: int) -> tuple[int, ...]:
        """Give the shape for `batch` images (the shape itself where there is no batch dimension)."""
        return tuple(batch if dim == "N" else int(dim) for dim in self.shape)


@dataclass(frozen=True)
class Preprocess:
    """Named pipelines from an image to the network's input, and which one is the default."""

    default: Name | None = None
    pipelines: Annotated[
        dict[str, Annotated[tuple[Step, ...], Count(1, MAX_STEPS)]], Count(0, MAX_PIPELINES, _NAME)
    ] = field(default_factory=dict)


@dataclass(frozen=True)
class Postprocess:
    """What an output means, and the file of labels (one a line) where its columns are classes."""

    output: Name
    kind: Literal["classification", "embedding", "raw"]
    labels: FilePath | None = None


@dataclass(frozen=True)
class Parity:
    """How far the compiled network was from the framework it came from, when it was compiled."""

    max_abs_error: Annotated[dict[str, Annotated[float, Range(0, 1e30)]], Count(0, MAX_IO_TENSORS, _NAME)]
    tolerance: Annotated[float, Range(0, 1e30)]
    top1_agreement: Annotated[float, Range(0, 1)] | None
    """Share of the images whose most probable class is the framework's; None where no output is a
    classification.
    """
    images: Annotated[int, Range(0, 2**31)]
    random_inputs: Annotated[int, Range(0, 2**31)]


@dataclass(frozen=True)
class VariantRef:
    """One target's code: the folder holding `model.so` and `target.json`."""

    target: Annotated[str, _FOLDER]
    path: FilePath


@dataclass(frozen=True)
class FileRecord:
    """What a file of the artifact must be; size in bytes."""

    size: Annotated[int, Range(0, MAX_FILE_BYTES)]
    sha256: Sha256


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: one model, how to feed it, what it gives, and every file of the artifact."""

    schema_version: Annotated[int, Range(1, SCHEMA_VERSION)]
    model: ModelInfo
    inputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    preprocess: Preprocess
    postprocess: Annotated[tuple[Postprocess, ...], Count(0, MAX_IO_TENSORS)]
    parity: Parity | None
    tuning: dict[str, Json]
    variants: Annotated[tuple[VariantRef, ...], Count(1, MAX_VARIANTS)]
    files: Annotated[dict[str, FileRecord], Count(1, MAX_FILES, _PATH)]
    digest: Sha256 = UNSEALED
    """sha256 of manifest.json with these 64 characters as zeros."""


@dataclass(frozen=True)
class Entry:
    """One compiled batch size: its function, what it costs, and which tensors follow the inputs in the call."""

    batch: Batch
    function: Annotated[str, Text(r"[A-Za-z_][A-Za-z0-9_]*", MAX_NAME_CHARS)]
    cost_ms: Annotated[float, Range(0, 1e9)] | None
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

    schema_version: Annotated[int, Range(1, SCHEMA_VERSION)]
    target: Annotated[str, _FOLDER]
    kind: Literal["llvm", "cuda"]
    triple: Free
    arch: Literal["x86_64", "aarch64"]
    cpu_features: Annotated[tuple[Annotated[str, Text(r"[a-z0-9_.\-]+", 64)], ...], Count(0, 512)]
    """Names as /proc/cpuinfo spells them; all are required."""
    glibc: Annotated[str, _VERSION]
    """The oldest glibc that the library runs on, as "2.28"."""
    tvm: Free
    tvm_ffi: Free
    alignment: Annotated[int, Range(ALIGNMENT_BYTES, ALIGNMENT_BYTES)]
    vector_bits: Annotated[int, Range(0, 65536)]
    entries: Annotated[tuple[Entry, ...], Count(1, MAX_ENTRIES)]
    tensors: Annotated[tuple[WeightTensor, ...], Count(0, MAX_TENSORS)]
    compute: Annotated[tuple[Annotated[str, Text(r"sm_[0-9a-z]+", 16)], ...], Count(0, 64)] = ()
    """GPU architectures that the code was built for; empty for a CPU."""


def decode_manifest(data: bytes, where: str = "manifest.json") -> Manifest:
    """Read the bytes of a manifest and check everything that can be checked without its files.

    Raises ManifestTooNew for a later schema, ManifestInvalid for anything else that is wrong.
    """
    value = parse(data, where)
    _check_version(value, where)
    manifest = decode(Manifest, value, where)
    sealed = manifest.digest.encode("ascii")
    if manifest.digest == UNSEALED or data.count(sealed) != 1:
        raise ManifestInvalid(f"{where}.digest is not a seal: write manifests with ovenbird_runtime.manifest.seal")
    if hashlib.sha256(data.replace(sealed, UNSEALED.encode("ascii"))).hexdigest() != manifest.digest:
        raise ManifestInvalid(
            f"{where} was changed after it was written: its digest does not match; copy or compile the artifact again"
        )
    check_manifest(manifest, where)
    return manifest


def decode_target(data: bytes, where: str = "target.json") -> Target:
    """Read the bytes of a target.json. Raises as `decode_manifest` does."""
    value = parse(data, where)
    _check_version(value, where)
    return decode(Target, value, where)


def _check_version(value: Json, where: str) -> None:
    version = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        raise ManifestTooNew(
            f"{where} has schema version {shown(version)}, this runtime reads up to "
            f"{SCHEMA_VERSION}: upgrade ovenbird-runtime"
        )


def seal(manifest: Manifest) -> bytes:
    """Give the bytes of `manifest.json`, its own digest filled in. Raises ManifestInvalid."""
    data = dump(encode(dataclasses.replace(manifest, digest=UNSEALED)))
    if data.count(UNSEALED.encode()) != 1:
        raise ManifestInvalid("manifest.json holds 64 zeros elsewhere than in its digest")
    data = data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode())
    decode_manifest(data)
    return data


def target_bytes(target: Target) -> bytes:
    """Give the bytes of `target.json`. Raises ManifestInvalid where the target is not valid."""
    data = dump(encode(target))
    decode_target(data)
    return data


def file_record(path: Path) -> FileRecord:
    """Give the size and sha256 of a file as it is, for the file table. Raises OSError."""
    data = path.read_bytes()
    return FileRecord(len(data), hashlib.sha256(data).hexdigest())


def _unique(names: list[str], what: str, where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ManifestInvalid(f"{where} has two {what} named {shown(name)}")


def check_manifest(manifest: Manifest, where: str = "manifest.json") -> None:
    """Check what one field says about another. Raises ManifestInvalid."""
    _unique([spec.name for spec in manifest.inputs], "inputs", where)
    _unique([spec.name for spec in manifest.outputs], "outputs", where)
    _unique([variant.target for variant in manifest.variants], "variants", where)
    _unique([variant.path for variant in manifest.variants], "variant paths", where)
    for spec in manifest.inputs + manifest.outputs:
        if "N" in spec.shape[1:]:
            raise ManifestInvalid(f'{where}: {spec.name} has "N" beyond its first dimension: {shown(spec.shape)}')
    if any(spec.batched for spec in manifest.inputs) != all(spec.batched for spec in manifest.outputs):
        raise ManifestInvalid(f'{where}: all outputs must begin with "N" where an input does, and none where none does')
    pipelines = manifest.preprocess.pipelines
    if manifest.preprocess.default is not None and manifest.preprocess.default not in pipelines:
        raise ManifestInvalid(
            f"{where}: the default pipeline {shown(manifest.preprocess.default)} is not among "
            f"{shown(sorted(pipelines))}"
        )
    for name, pipeline in pipelines.items():
        wrong = problem(pipeline)
        if wrong:
            raise ManifestInvalid(f"{where}: pipeline {shown(name)}: {wrong}")
    shapes = {spec.name: spec.shape for spec in manifest.outputs}
    for post in manifest.postprocess:
        if post.output not in shapes:
            raise ManifestInvalid(f"{where}: post-processing of {shown(post.output)}, which is no output")
        if post.kind == "classification" and len(shapes[post.output]) != 2:
            raise ManifestInvalid(f"{where}: {post.output} is a classification but not of two dimensions")
        if post.labels is not None and post.labels not in manifest.files:
            raise ManifestInvalid(f"{where}: the labels {shown(post.labels)} are not in the file table")
    _unique([post.output for post in manifest.postprocess], "post-processings", where)
    for variant in manifest.variants:
        for name in ("model.so", "target.json"):
            if f"{variant.path}/{name}" not in manifest.files:
                raise ManifestInvalid(f"{where}: {variant.path}/{name} is not in the file table")
    if "manifest.json" in manifest.files:
        raise ManifestInvalid(f"{where}: the file table cannot hold manifest.json itself")


def check_target(target: Target, manifest: Manifest, where: str = "target.json") -> None:
    """Check a target against the manifest it came with. Raises ManifestInvalid."""
    _unique([str(entry.batch) for entry in target.entries], "entries for batch", where)
    _unique([entry.function for entry in target.entries], "functions", where)
    for entry in target.entries:
        bad = [index for index in entry.weights if index >= len(target.tensors)]
        if bad:
            raise ManifestInvalid(f"{where}: {entry.function} wants tensor {bad[0]}, there are {len(target.tensors)}")
    if not any(spec.batched for spec in manifest.inputs) and [entry.batch for entry in target.entries] != [1]:
        raise ManifestInvalid(f"{where}: a network without a batch dimension has one entry, for batch 1")
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
