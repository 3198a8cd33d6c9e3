"""The golden outputs on the target: what each variant's code is held to."""

import dataclasses
from pathlib import Path

import pytest

from ovenbird_runtime.errors import ManifestInvalid
from ovenbird_runtime.manifest.agreement import LIMITS, Limits
from ovenbird_runtime.manifest.manifest import Parity, ProgramParity, VariantParity
from ovenbird_runtime.selftest import selftest
from support.tiny_artifact import reseal

OLD = ProgramParity({"logits": 1e-6}, 1e-3, None)


def held(limits: Limits) -> Parity:
    return Parity(0, 2, {"main": dataclasses.replace(OLD, variants={"tiny": VariantParity("f32", limits)})})


def test_code_without_limits_of_its_own_is_held_to_its_precision(spoilt: Path) -> None:
    found = selftest(spoilt)
    assert found.tolerance == LIMITS["f32"].rms
    assert 0 < found.rms["logits"] < found.tolerance


def test_each_target_has_limits_of_its_own(spoilt: Path) -> None:
    strict = dataclasses.replace(LIMITS["f32"], rms=1e-12)

    reseal(spoilt, lambda manifest: dataclasses.replace(manifest, parity=held(strict)))
    with pytest.raises(Exception, match="limit 1e-12"):
        selftest(spoilt)
    reseal(spoilt, lambda manifest: dataclasses.replace(manifest, parity=held(LIMITS["f16"])))
    assert selftest(spoilt).tolerance == LIMITS["f16"].rms


def test_limits_are_checked_as_all_else(spoilt: Path) -> None:
    bad = dataclasses.replace(LIMITS["f32"], rms=-1.0)
    with pytest.raises(ManifestInvalid, match="rms"):
        reseal(spoilt, lambda manifest: dataclasses.replace(manifest, parity=held(bad)))
