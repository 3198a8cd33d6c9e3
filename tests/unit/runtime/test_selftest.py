"""The golden outputs on the target: artifacts made before limits were written, and those of other precisions."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ovenbird_runtime.artifact.agreement import LIMITS
from ovenbird_runtime.artifact.manifest import Parity, TargetParity, decode_manifest, seal
from ovenbird_runtime.artifact.schema import encode
from ovenbird_runtime.errors import ManifestInvalid
from ovenbird_runtime.selftest import selftest
from support.tiny_artifact import reseal

OLD = Parity(max_abs_error={"logits": 1e-6}, tolerance=1e-3, top1_agreement=None, images=0, random_inputs=2)


def target(kind: str = "llvm", name: str = "host") -> Any:
    return cast(Any, SimpleNamespace(target=name, kind=kind))


def test_an_artifact_made_before_limits_were_written_still_passes(spoilt: Path) -> None:
    manifest = decode_manifest((spoilt / "manifest.json").read_bytes())
    old = encode(manifest)
    del old["parity"]["targets"]  # as its compiler wrote it
    assert manifest.parity is not None
    assert json.loads((spoilt / "manifest.json").read_text())["parity"]["targets"] == {}
    data = seal(manifest).replace(b',\n    "targets": {}', b"")
    data = data.replace(manifest.digest.encode(), b"0" * 64)
    import hashlib

    data = data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode())
    (spoilt / "manifest.json").write_bytes(data)
    assert {**json.loads(data), "digest": ""} == {**old, "digest": ""}
    found = selftest(spoilt)
    assert found.tolerance == LIMITS["f32"].rms
    assert 0 < found.rms["logits"] < found.tolerance


def test_old_tolerances_are_taken_for_what_they_were() -> None:
    assert OLD.limits_for(target()) == LIMITS["f32"]
    assert dataclasses.replace(OLD, tolerance=1e-6).limits_for(target()) == LIMITS["f32"]
    assert dataclasses.replace(OLD, tolerance=1e-2).limits_for(target()) == LIMITS["f32"].loosened(10)
    assert dataclasses.replace(OLD, tolerance=2e-2).limits_for(target("cuda")) == LIMITS["f16"]


def test_each_target_has_limits_of_its_own(spoilt: Path) -> None:
    strict = dataclasses.replace(LIMITS["f32"], rms=1e-12)

    def held(limits: Any) -> Any:
        return lambda manifest: dataclasses.replace(
            manifest, parity=dataclasses.replace(OLD, targets={"tiny": TargetParity("f32", limits)})
        )

    reseal(spoilt, held(strict))
    with pytest.raises(Exception, match="limit 1e-12"):
        selftest(spoilt)
    reseal(spoilt, held(LIMITS["f16"]))
    assert selftest(spoilt).tolerance == LIMITS["f16"].rms


def test_limits_are_checked_as_all_else(spoilt: Path) -> None:
    bad = dataclasses.replace(LIMITS["f32"], rms=-1.0)
    parity = dataclasses.replace(OLD, targets={"tiny": TargetParity("f32", bad)})
    with pytest.raises(ManifestInvalid, match="rms"):
        reseal(spoilt, lambda manifest: dataclasses.replace(manifest, parity=parity))
