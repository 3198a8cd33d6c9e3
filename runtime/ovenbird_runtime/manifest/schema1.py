"""Artifacts of schema 1, read as those of schema 2: pure functions from JSON to JSON that check what they change.

    upgrade_manifest(value, "manifest.json")        # what JSON reads, before it is decoded

Schema 1 had one program without a name, one variant a target, and parity by target. All else is the same, and left to
schema 2's own checks. Nothing else in the runtime knows of it; it is read for good.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from ..dataclass import dataclass
from ..errors import ManifestInvalid, shown
from ..limits import MAX_IO_TENSORS, MAX_VARIANTS, SCHEMA_VERSION
from .agreement import LIMITS, Limits, Precision
from .fields import FOLDER_TEXT, NAME_TEXT, FilePath, Folder, Name
from .parity import VariantParity, variant_name
from .program import MAIN
from .schema import Count, Json, Range, decode, encode

MANIFEST = {"schema_version", "model", "inputs", "outputs", "preprocess", "postprocess", "parity", "tuning",
            "variants", "files"}  # fmt: skip
ENTRY = {"batch", "function", "cost_ms", "weights"}
OLD_TOLERANCE, OLD_HALF_TOLERANCE = 1e-3, 2e-2
"""What the first artifacts were verified with, and in float16: a share of max(1, largest output)."""


@dataclass(frozen=True)
class Postprocess1:
    """What an output means."""

    output: Name
    kind: Literal["classification", "embedding", "raw"]
    labels: FilePath | None = None


@dataclass(frozen=True)
class Parity1:
    """Parity by target; the first artifacts had no `targets`."""

    max_abs_error: Annotated[dict[str, Annotated[float, Range(0, 1e30)]], Count(0, MAX_IO_TENSORS, NAME_TEXT)]
    tolerance: Annotated[float, Range(0, 1e30)]
    top1_agreement: Annotated[float, Range(0, 1)] | None
    images: Annotated[int, Range(0, 2**31)]
    random_inputs: Annotated[int, Range(0, 2**31)]
    targets: Annotated[dict[str, VariantParity], Count(0, MAX_VARIANTS, FOLDER_TEXT)] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant1:
    """One target's code."""

    target: Folder
    path: FilePath


def upgrade_manifest(value: dict[str, Json], where: str) -> dict[str, Json]:
    """Return a manifest of schema 1 as one of schema 2. Raises ManifestInvalid."""
    _check_fields(value, MANIFEST, {"digest"}, where)
    variants = [
        decode(Variant1, item, f"{where}.variants[{i}]") for i, item in enumerate(_list(value, "variants", where))
    ]
    parity = None if value["parity"] is None else decode(Parity1, value["parity"], f"{where}.parity")
    held = {variant.target: _held(parity, variant.target) for variant in variants}
    posts = [
        decode(Postprocess1, item, f"{where}.postprocess[{i}]")
        for i, item in enumerate(_list(value, "postprocess", where))
    ]
    program = {
        "inputs": value["inputs"],
        "outputs": value["outputs"],
        "preprocess": value["preprocess"],
        "postprocess": [_step(post, where) for post in posts],
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "model": value["model"],
        "programs": {MAIN: program},
        "parity": None if parity is None else _parity(parity, held),
        "tuning": value["tuning"],
        "variants": [
            {"target": variant.target, "path": variant.path, "precision": held[variant.target].precision}
            for variant in variants
        ],
        "files": value["files"],
    } | ({"digest": value["digest"]} if "digest" in value else {})


def upgrade_target(value: dict[str, Json], precision: Precision, where: str) -> dict[str, Json]:
    """Return a target.json of schema 1 as one of schema 2. Raises ManifestInvalid."""
    entries = []
    for place, entry in enumerate(_list(value, "entries", where)):
        here = f"{where}.entries[{place}]"
        if not isinstance(entry, dict):
            raise ManifestInvalid(f"{here} is {shown(entry)}, expected an object")
        _check_fields(entry, ENTRY, set(), here)
        decode(_Cost, {"cost_ms": entry["cost_ms"]}, here)
        kept = {name: item for name, item in entry.items() if name != "cost_ms"}
        entries.append({"program": MAIN, "size": []} | kept)
    if "precision" in value:
        raise ManifestInvalid(f"{where} has an unknown field 'precision'")
    return value | {"schema_version": SCHEMA_VERSION, "precision": precision, "entries": entries}


@dataclass(frozen=True)
class _Cost:
    """A time of the compiling machine, which nothing read."""

    cost_ms: Annotated[float, Range(0, 1e9)] | None


def _step(post: Postprocess1, where: str) -> dict[str, Any]:
    if post.labels is None:
        return {"step": post.kind, "output": post.output}
    if post.kind != "classification":
        raise ManifestInvalid(f"{where}: {post.output} has labels but is no classification")
    return {"step": post.kind, "output": post.output, "labels": post.labels}


def _held(parity: Parity1 | None, target: str) -> VariantParity:
    """Return what a target's code is held to; of an artifact that does not say it, what it would be today."""
    if parity is None:
        return VariantParity("f32", LIMITS["f32"])
    if target in parity.targets:
        return parity.targets[target]
    precision, limits = old_limits(target, parity.tolerance)
    return VariantParity(precision, limits)


def old_limits(target: str, tolerance: float) -> tuple[Precision, Limits]:
    """Return the precision and limits of code that was verified by its largest error alone; a GPU's by its name."""
    if target.startswith("cuda") and tolerance >= OLD_HALF_TOLERANCE:
        return "f16", LIMITS["f16"].loosened(tolerance / OLD_HALF_TOLERANCE)
    return "f32", LIMITS["f32"].loosened(max(1.0, tolerance / OLD_TOLERANCE))


def _parity(parity: Parity1, held: dict[str, VariantParity]) -> dict[str, Json]:
    return {
        "images": parity.images,
        "random_inputs": parity.random_inputs,
        "programs": {
            MAIN: {
                "max_abs_error": parity.max_abs_error,
                "tolerance": parity.tolerance,
                "top1_agreement": parity.top1_agreement,
                "variants": {variant_name(name, one.precision): encode(one) for name, one in held.items()},
            }
        },
    }


def _list(value: dict[str, Json], name: str, where: str) -> list[Json]:
    found = value.get(name)
    if not isinstance(found, list):
        raise ManifestInvalid(f"{where}.{name} is {shown(found)}, expected a list")
    return found


def _check_fields(value: dict[str, Json], known: set[str], optional: set[str], where: str) -> None:
    """Refuse fields that schema 1 does not have, and what lacks one of its own. Raises ManifestInvalid."""
    unknown, missing = sorted(set(value) - known - optional), sorted(known - set(value))
    if unknown:
        raise ManifestInvalid(f"{where} has an unknown field {shown(unknown[0])}")
    if missing:
        raise ManifestInvalid(f"{where} lacks the field {missing[0]!r}")
