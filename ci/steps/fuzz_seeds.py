#!/usr/bin/env python3
"""Writes what ci/steps/fuzz.sh begins with and no file holds: packed arrays, JSON in one line, manifests of all steps.

    ci/steps/fuzz_seeds.py artifacts/resnet50 build/fuzz

The artifact's manifest is written as it is, and once for each pipeline and each kind of answer that conformance/ has.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

CONFORMANCE = Path(__file__).resolve().parents[2] / "conformance"


def packed(stored: Path, into: Path) -> None:
    """Write an .npz again as numpy's savez_compressed packs it."""
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))


def cases(kind: str, field: str) -> list[Any]:
    """Return the different values of a field among the cases of conformance/KIND."""
    found = json.loads((CONFORMANCE / kind / "cases.json").read_text(encoding="utf-8"))
    return list({json.dumps(case[field]): case[field] for case in found}.values())


def write(value: Any, into: Path) -> None:
    """Write JSON in one line."""
    into.write_text(json.dumps(value), encoding="utf-8")


def manifests(artifact: Path, folder: Path) -> None:
    """Write manifests whose first program has each pipeline, and each of the answers; their seals are made anew."""
    source = json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))
    changes: list[dict[str, Any]] = [{}]
    changes += [{"preprocess": {"default": "it", "pipelines": {"it": steps}}} for steps in cases("pipelines", "steps")]
    changes += [{"postprocess": steps} for steps in cases("answers", "postprocess")]
    first = next(iter(source["programs"]))
    for number, change in enumerate(changes):
        programs = source["programs"] | {first: source["programs"][first] | change}
        write(source | {"programs": programs}, folder / f"manifest-{number}.json")


if __name__ == "__main__":
    given, made = map(Path, sys.argv[1:])
    packed(CONFORMANCE / "answers" / "classification.npz", made / "deflated.npz")
    manifests(given, made)
    for name in ("plan", "target"):
        for number, path in enumerate(given.glob(f"targets/*/{name}.json")):
            write(json.loads(path.read_text(encoding="utf-8")), made / f"{name}-{number}.json")
