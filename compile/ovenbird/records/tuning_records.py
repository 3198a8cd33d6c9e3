"""Which tuning records a compilation uses, and what the manifest says about them.

records = find_records(None, "resnet50", spec)      # tuning_logs/<target>/resnet50, where it exists
provenance(records, layers)                         # {"records": "...", "tuned": 20, "default": 33, "stale": 0}
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import UsageError
from ovenbird.records.provenance import read_provenance
from ovenbird.resources import tuning_folders
from ovenbird.targets import TargetSpec
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    from ovenbird.lowering.layers import LayerRecord

NONE = "none"
SUFFIXES: dict[Precision, str] = {"f32": "", "f16": "+fp16"}
"""What a log's name ends with, by what its network computes in; others end with the precision's own name."""


def records_folder(choice: str | None, model: str, spec: TargetSpec, precision: Precision = "f32") -> Path | None:
    """Return the folder of records to use: the one asked for, else one in `tuning_logs/` that no other processor made.

    Raises UsageError where there is no folder of that name.
    """
    if choice == NONE:
        return None
    if choice is not None:
        folder = Path(choice)
        if not folder.is_dir():
            raise UsageError(f"--tuning-records {choice}: no such folder; give one that `ovenbird tune` wrote, or none")
        return folder
    for root in tuning_folders():
        folder = root / log_place(model, spec, precision)
        if folder.is_dir() and not _of_another_machine(folder, spec):
            return folder
        others = [found for found in sorted(folder.parent.glob(f"{folder.name}@*")) if matches(found, spec)]
        if others:
            return others[-1]
    return None


def own_folder(model: str, spec: TargetSpec, precision: Precision = "f32") -> Path:
    """Return the folder `ovenbird tune` writes, in a clone or below the current folder."""
    return tuning_folders()[0] / log_place(model, spec, precision)


def log_place(model: str, spec: TargetSpec, precision: Precision) -> Path:
    """Return a log's place among others; those of other processors lie next to it, as `<model>@<mcpu>-<date>`.

    In another precision a network has other functions, and a log of its own: `<model>+fp16`.
    """
    return Path(spec.name) / (model + SUFFIXES.get(precision, f"+{precision}"))


def matches(folder: Path, spec: TargetSpec) -> bool:
    """Return whether a log was made for this very processor by this TVM."""
    made_by = read_provenance(folder)
    return made_by is not None and not made_by.mismatch(spec)


def _of_another_machine(folder: Path, spec: TargetSpec) -> bool:
    made_by = read_provenance(folder)
    return made_by is not None and bool(made_by.other_machine(spec))


def find_records(choice: str | None, model: str, spec: TargetSpec, precision: Precision = "f32") -> Any:
    """Open the records to use, or give None where the defaults are to be taken."""
    folder = records_folder(choice, model, spec, precision)
    if folder is None:
        return None
    return importlib.import_module("ovenbird.records.tuning_log").TuningLog.open(folder)


def provenance(records: Any, layers: Sequence[LayerRecord]) -> dict[str, Any]:
    """Return the manifest's words on one target's tuning: how many layers were tuned, took defaults, or were stale."""
    counts = {"tuned": 0, "default": 0, "stale": 0}
    for layer in layers:
        counts[layer.source] += 1
    if records is not None:
        counts["stale"] += records.unused(sorted({entry for layer in layers for entry in layer.calls}))
    summary: dict[str, Any] = dict(counts)
    describe = getattr(records, "provenance", None)
    if describe is not None:
        summary["records"] = describe() if callable(describe) else describe
    return summary
