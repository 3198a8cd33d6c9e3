"""THE schema: what `manifest.json` of an artifact says, and (from `target.py`) its `target.json`.

The compiler writes through these classes, the runtime reads through them.

    manifest = Manifest(schema_version=1, model=ModelInfo("resnet50", ...), ...)
    seal(manifest)                                    # the bytes of manifest.json, with its own digest in them
    decode_manifest(data)                             # strict: a changed byte, an unknown field is refused

The JSON Schema of both files is in `artifacts/*.schema.json` (`python -m ovenbird_runtime.artifact.json_schema
artifacts`). Pure Python: neither TVM nor its FFI is imported here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from ..errors import ManifestInvalid, shown
from ..limits import MAX_FILE_BYTES, MAX_FILES, MAX_IO_TENSORS, MAX_PIPELINES, MAX_RANK, MAX_STEPS, MAX_VARIANTS
from .agreement import LIMITS, Limits, Precision, Share
from .fields import (
    FOLDER_TEXT,
    ITEM_BYTES,
    NAME_TEXT,
    PATH_TEXT,
    Dim,
    Dtype,
    FilePath,
    Folder,
    Free,
    Name,
    SchemaVersion,
    Sha256,
)
from .schema import Count, Json, Range, Text, decode, dump, encode, parse
from .steps import Step, problem
from .target import (
    Entry,
    Target,
    WeightTensor,
    check_call,
    check_target,
    check_unique,
    check_version,
    decode_target,
    target_bytes,
)

__all__ = [
    "ITEM_BYTES",
    "UNSEALED",
    "Dtype",
    "Entry",
    "FileRecord",
    "Manifest",
    "Measured",
    "ModelInfo",
    "Parity",
    "Postprocess",
    "Preprocess",
    "Target",
    "TargetParity",
    "TensorSpec",
    "VariantRef",
    "WeightTensor",
    "WeightsInfo",
    "check_manifest",
    "check_target",
    "decode_manifest",
    "decode_target",
    "file_record",
    "seal",
    "target_bytes",
]

OLD_TOLERANCE, OLD_HALF_TOLERANCE = 1e-3, 2e-2
"""What artifacts without limits of their own were verified with, and in float16: a share of max(1, largest output)."""
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
        """Return the shape for `batch` images (the shape itself where there is no batch dimension)."""
        return tuple(batch if dim == "N" else int(dim) for dim in self.shape)

    def room(self, batch: int) -> int:
        """Return the bytes for `batch` images, an empty dimension counted as one: what
        numpy must be able to address.
        """
        return ITEM_BYTES[self.dtype] * math.prod(max(1, dim) for dim in self.with_batch(batch))


@dataclass(frozen=True)
class Preprocess:
    """Named pipelines from an image to the network's input, and which one is the default."""

    default: Name | None = None
    pipelines: Annotated[
        dict[str, Annotated[tuple[Step, ...], Count(1, MAX_STEPS)]], Count(0, MAX_PIPELINES, NAME_TEXT)
    ] = field(default_factory=dict)


@dataclass(frozen=True)
class Postprocess:
    """What an output means, and the file of labels (one a line) where its columns are classes."""

    output: Name
    kind: Literal["classification", "embedding", "raw"]
    labels: FilePath | None = None


@dataclass(frozen=True)
class Measured:
    """How far an output of one target's code was from the framework's (`agreement.Difference`)."""

    rms: Share
    peak: Share
    mismatches: Share
    dependence: Share
    blind: bool
    """Whether the framework's own answers were the same for all inputs."""


@dataclass(frozen=True)
class TargetParity:
    """What one target's code is held to, and what was measured; nothing where it could not run."""

    precision: Precision
    limits: Limits
    outputs: Annotated[dict[str, Measured], Count(0, MAX_IO_TENSORS, NAME_TEXT)] = field(default_factory=dict)


@dataclass(frozen=True)
class Parity:
    """How far the compiled network was from the framework it came from, when it was compiled."""

    max_abs_error: Annotated[dict[str, Annotated[float, Range(0, 1e30)]], Count(0, MAX_IO_TENSORS, NAME_TEXT)]
    tolerance: Annotated[float, Range(0, 1e30)]
    """The largest `rms` in the limits of `targets`; where there are none, see `OLD_TOLERANCE`."""
    top1_agreement: Annotated[float, Range(0, 1)] | None
    """Share of the images whose most probable class is the framework's; None where no output is a
    classification.
    """
    images: Annotated[int, Range(0, 2**31)]
    random_inputs: Annotated[int, Range(0, 2**31)]
    targets: Annotated[dict[str, TargetParity], Count(0, MAX_VARIANTS, FOLDER_TEXT)] = field(default_factory=dict)

    def limits_for(self, target: Target) -> Limits:
        """Return what a target's code is held to; of an artifact made before manifests
        said so, what it would be now.
        """
        if target.target in self.targets:
            return self.targets[target.target].limits
        if target.compute and self.tolerance >= OLD_HALF_TOLERANCE:
            return LIMITS["f16"].loosened(self.tolerance / OLD_HALF_TOLERANCE)
        return LIMITS["f32"].loosened(max(1.0, self.tolerance / OLD_TOLERANCE))


@dataclass(frozen=True)
class VariantRef:
    """One target's code: the folder holding `model.so` and `target.json`."""

    target: Folder
    path: FilePath


@dataclass(frozen=True)
class FileRecord:
    """What a file of the artifact must be; size in bytes."""

    size: Annotated[int, Range(0, MAX_FILE_BYTES)]
    sha256: Sha256


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: one model, how to feed it, what it gives, and every file of the artifact."""

    schema_version: SchemaVersion
    model: ModelInfo
    inputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    preprocess: Preprocess
    postprocess: Annotated[tuple[Postprocess, ...], Count(0, MAX_IO_TENSORS)]
    parity: Parity | None
    tuning: dict[str, Json]
    variants: Annotated[tuple[VariantRef, ...], Count(1, MAX_VARIANTS)]
    files: Annotated[dict[str, FileRecord], Count(1, MAX_FILES, PATH_TEXT)]
    digest: Sha256 = UNSEALED
    """sha256 of manifest.json with these 64 characters as zeros."""


def decode_manifest(data: bytes, where: str = "manifest.json") -> Manifest:
    """Read the bytes of a manifest and check everything that can be checked without its files.

    Raises ManifestTooNew for a later schema, ManifestInvalid for anything else that is wrong.
    """
    value = parse(data, where)
    check_version(value, where)
    manifest = decode(Manifest, value, where)
    sealed = manifest.digest.encode("ascii")
    if manifest.digest == UNSEALED or data.count(sealed) != 1:
        raise ManifestInvalid(
            f"{where}.digest is not a seal: write manifests with ovenbird_runtime.artifact.manifest.seal"
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
    check_unique([spec.name for spec in manifest.inputs], "inputs", where)
    check_unique([spec.name for spec in manifest.outputs], "outputs", where)
    check_unique([variant.target for variant in manifest.variants], "variants", where)
    check_unique([variant.path for variant in manifest.variants], "variant paths", where)
    for spec in manifest.inputs + manifest.outputs:
        if "N" in spec.shape[1:]:
            raise ManifestInvalid(f'{where}: {spec.name} has "N" beyond its first dimension: {shown(spec.shape)}')
    check_call(manifest, 1, where)
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
        if post.labels is not None and shapes[post.output][-1:] in ((), ("N",)):
            raise ManifestInvalid(f"{where}: {post.output} has labels but no dimension of classes")
        if post.labels is not None and post.labels not in manifest.files:
            raise ManifestInvalid(f"{where}: the labels {shown(post.labels)} are not in the file table")
    check_unique([post.output for post in manifest.postprocess], "post-processings", where)
    for variant in manifest.variants:
        for name in ("model.so", "target.json"):
            if f"{variant.path}/{name}" not in manifest.files:
                raise ManifestInvalid(f"{where}: {variant.path}/{name} is not in the file table")
    if "manifest.json" in manifest.files:
        raise ManifestInvalid(f"{where}: the file table cannot hold manifest.json itself")
