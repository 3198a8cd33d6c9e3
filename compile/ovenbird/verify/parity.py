"""What the manifest says of a verification: by program, the worst of all variants, and each variant's own figures.

figures = parity({"host": {"main": found}}, {"host": VariantParity("f32", LIMITS["f32"])})
figures.programs["main"].variants["host"].outputs["logits"].rms
parity_bytes(figures, "torch")                          # evidence/parity.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from ovenbird.verify.verifying import Verification
from ovenbird_runtime.manifest.agreement import RULE
from ovenbird_runtime.manifest.manifest import Measured, Parity, ProgramParity, VariantParity
from ovenbird_runtime.manifest.schema import encode

PARITY = "evidence/parity.json"


def parity(found: Mapping[str, Mapping[str, Verification]], variants: Mapping[str, VariantParity]) -> Parity:
    """Return the manifest's figures: for each program those of each variant in `found`, at least one, and what
    `variants` says of all. The images and the random inputs are those of all programs.
    """
    first = next(iter(found.values()))
    return Parity(
        sum(one.images for one in first.values()),
        sum(one.random_inputs for one in first.values()),
        {program: program_parity({name: of[program] for name, of in found.items()}, variants) for program in first},
    )


def program_parity(found: Mapping[str, Verification], variants: Mapping[str, VariantParity]) -> ProgramParity:
    """Return one program's figures; those that are not of one variant are the worst of all."""
    first = next(iter(found.values()))
    tops = [one.top1_agreement for one in found.values() if one.top1_agreement is not None]
    counts = [one.boxes for one in found.values() if one.boxes is not None]
    least = min(counts, key=lambda count: count[1]) if counts else None
    return ProgramParity(
        max_abs_error={name: max(one.outputs[name].max_abs for one in found.values()) for name in first.outputs},
        tolerance=max(one.limits.rms for one in found.values()),
        top1_agreement=min(tops) if tops else None,
        boxes=least[0] if least is not None else None,
        boxes_agreement=least[1] / least[0] if least is not None and least[0] else None,
        variants={
            name: replace(held, outputs=measured(found[name])) if name in found else held
            for name, held in variants.items()
        },
    )


def measured(found: Verification) -> dict[str, Measured]:
    """Return each output's figures, as the manifest holds them."""
    return {
        name: Measured(**{field.name: getattr(difference, field.name) for field in fields(Measured)})
        for name, difference in found.outputs.items()
    }


def parity_bytes(
    parity: Parity, framework: str, unverified: Mapping[str, str] = {}, in_float64: Sequence[str] = ()
) -> bytes:
    """Return `evidence/parity.json`: the manifest's figures, by which rule, which variants' code could not be run, and
    which were held to the network in float64.
    """
    names = [name for program in parity.programs.values() for name in program.variants]
    document = {
        "framework": framework,
        "verified": [name for name in dict.fromkeys(names) if name not in unverified],
        "not_verified": sorted(unverified),
        "in_float64": sorted(in_float64),
        "rule": RULE,
        **encode(parity),
    }
    return (json.dumps(document, indent=2) + "\n").encode("utf-8")
