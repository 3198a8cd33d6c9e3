"""10,000 mutated manifests and targets: a typed error or a sound manifest, nothing else.

Half are mutated as text, as a disk or an attacker without the seal would; half as JSON and sealed again, so that the
mutations reach every check behind the seal.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime.errors import ArtifactError, OvenbirdError
from ovenbird_runtime.manifest.manifest import UNSEALED, check_target, decode_manifest, decode_target
from ovenbird_runtime.manifest.schema import dump

MUTANTS = 10_000
TARGETS = 3_000
LOADED = 400
SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 2, 63, 64, 2**31, 2**63, 2**64, -(2**63), 10**40, 0.0, -0.0, 1e-300, 1e300, 0.5,
    "", "N", "a", "A" * 5000, "../x", "/etc/passwd", "labels.txt", "\0", "\n", "\ud800", "💥", "0" * 64, "f" * 64,
    "float32", "int8", "llvm", "cuda", "x86_64", "aarch64", "classification", "resize", "normalise", "2.28", [], {},
    [[]], [{}], {"step": "resize"}, ["N"], [1, 3, 32, 32], list(range(300)), ["N", 2**31, 2**31], ["N", *[2**31] * 7],
    [0, *[2**31] * 7], ["N", 2**20, 2**10], {"a": {"b": [[[[[[1]]]]]]}}, 4096, 2**20, 2**34, -64, 1 << 62,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in JSON."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def mutate_json(value: Any, rng: random.Random) -> Any:
    """Change one to three places: replace, remove, rename, repeat, add, or exchange two."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, 3)):
        paths = places(value)
        if not paths:
            return value
        path = rng.choice(paths)
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        key, action = path[-1], rng.randrange(6)
        if action == 0:
            parent[key] = copy.deepcopy(rng.choice(SCALARS))
        elif action == 1:
            del parent[key]
        elif action == 2 and isinstance(parent, dict):
            parent[rng.choice(["x", key + "x", str(key).upper(), "", "schema_version"])] = parent.pop(key)
        elif action == 3 and isinstance(parent, list):
            parent += [parent[key]] * rng.choice([1, 2, 300])
        elif action == 4 and isinstance(parent[key], (int, float)) and not isinstance(parent[key], bool):
            parent[key] = rng.choice([parent[key] + 1, -parent[key], parent[key] * 2**20, parent[key] / 3])
        else:
            parent[key] = copy.deepcopy(rng.choice([parent, value, *SCALARS]))
    return value


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, insert, remove, repeat or cut bytes."""
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place, length = rng.randrange(len(spoilt) + 1), rng.randint(1, 40)
        action = rng.randrange(5)
        if action == 0 and place < len(spoilt):
            spoilt[place] ^= 1 << rng.randrange(8)
        elif action == 1:
            spoilt[place:place] = rng.choice(
                [b"{", b"}", b"[" * 3000, b'"', b"\\u0000", b"NaN", b"1e999", b"\xff", b","]
            )
        elif action == 2:
            del spoilt[place : place + length]
        elif action == 3:
            spoilt[place:place] = spoilt[place : place + length]
        elif rng.random() < 0.2:
            del spoilt[place:]
    return bytes(spoilt)


def seal_anything(value: Any) -> bytes | None:
    """Seal a mutant, whatever it is; None where it cannot even be written."""
    if isinstance(value, dict) and "digest" in value:
        value["digest"] = UNSEALED
    try:
        data = dump(value)
    except (ValueError, UnicodeEncodeError):
        return None
    return data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def test_mutated_manifests_are_sound_or_refused(tiny: Path) -> None:
    rng = random.Random(2026)
    data = (tiny / "manifest.json").read_bytes()
    value, outcomes = json.loads(data), Counter[str]()
    while sum(outcomes.values()) < MUTANTS:
        as_text = rng.random() < 0.5
        mutant = mutate_bytes(data, rng) if as_text else seal_anything(mutate_json(value, rng))
        if mutant in (None, data):
            continue
        try:
            decode_manifest(mutant or b"")
            outcomes["sound, as text" if as_text else "sound, sealed again"] += 1
        except ArtifactError as error:
            outcomes[type(error).__name__] += 1
    assert outcomes["sound, as text"] == 0, "a changed text was taken for sound"
    assert outcomes["sound, sealed again"] > 10, "mutants never got behind the seal's checks"
    assert outcomes["ManifestInvalid"] > MUTANTS // 2


def test_mutated_targets_are_sound_or_refused(tiny: Path) -> None:
    rng = random.Random(7)
    data = (tiny / "targets/tiny/target.json").read_bytes()
    manifest, value = decode_manifest((tiny / "manifest.json").read_bytes()), json.loads(data)
    outcomes, decoded = Counter[str](), 0
    while sum(outcomes.values()) < TARGETS:
        as_text = rng.random() < 0.3
        mutant = mutate_bytes(data, rng) if as_text else seal_anything(mutate_json(value, rng))
        if mutant in (None, data):
            continue
        try:
            target = decode_target(mutant or b"")
            decoded += 1
            check_target(target, manifest)
            assert all(index < len(target.tensors) for entry in target.entries for index in entry.weights)
            sizes = {tensor.file: manifest.files[tensor.file].size for tensor in target.tensors}
            assert all(tensor.offset + tensor.nbytes <= sizes[tensor.file] for tensor in target.tensors)
            outcomes["sound"] += 1
        except ArtifactError as error:
            outcomes[type(error).__name__] += 1
    assert outcomes["ManifestInvalid"] > TARGETS // 2
    assert decoded - outcomes["sound"] > TARGETS // 100, "mutants never got to what is checked of the whole"
    assert outcomes["sound"] > TARGETS // 30


@pytest.mark.slow
def test_loading_what_still_decodes(spoilt: Path) -> None:
    """Sealed mutants that decode are loaded and run for real: typed errors or an answer, never a crash."""
    rng = random.Random(11)
    value, outcomes = json.loads((spoilt / "manifest.json").read_bytes()), Counter[str]()
    target_path = spoilt / "targets/tiny/target.json"
    target = json.loads(target_path.read_bytes())
    while sum(outcomes.values()) < LOADED:
        mutant = json.loads(json.dumps(value))
        target_data = seal_anything(mutate_json(target, rng) if rng.random() < 0.6 else target)
        if target_data is None:
            continue
        mutant["files"]["targets/tiny/target.json"] = {
            "size": len(target_data),
            "sha256": hashlib.sha256(target_data).hexdigest(),
        }
        sealed = seal_anything(mutate_json(mutant, rng) if rng.random() < 0.5 else mutant)
        if sealed is None:
            continue
        try:
            check_target(decode_target(target_data), decode_manifest(sealed))
        except ArtifactError:
            continue
        target_path.write_bytes(target_data)
        (spoilt / "manifest.json").write_bytes(sealed)
        try:
            with ovenbird_runtime.load(spoilt, threads=1) as model:
                small = all(np.prod(spec.with_batch(1), dtype=float) < 1e7 for spec in model.inputs + model.outputs)
                if small:
                    model.run({spec.name: np.zeros(spec.with_batch(1), spec.dtype) for spec in model.inputs})
            outcomes["ran"] += 1
        except OvenbirdError as error:
            outcomes[type(error).__name__] += 1
    assert outcomes["ran"] > LOADED // 20
    assert len(outcomes) > 3
