"""Refusals that depend on the machine, all of them before dlopen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import ovenbird_runtime
from ovenbird_runtime import errors
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.artifact.inspection import inspect_artifact
from ovenbird_runtime.artifact.variant import choose_variant
from ovenbird_runtime.machine.cpu import MachineFacts, this_machine
from ovenbird_runtime.manifest.manifest import Target, VariantRef, decode_target, target_bytes
from support.tiny_artifact import reseal, retarget

replace = dataclasses.replace
HERE = this_machine()
OTHER_ARCH = {"x86_64": "aarch64", "aarch64": "x86_64"}
REFUSALS: list[tuple[Callable[[Target], Target], type[errors.MachineError], str]] = [
    (lambda t: replace(t, arch=OTHER_ARCH[HERE.arch]), errors.WrongArchitecture, "this machine is"),  # type: ignore[arg-type]
    (lambda t: replace(t, cpu_features=("amx_fancy",)), errors.MissingCpuFeatures, "lacks: amx_fancy"),
    (lambda t: replace(t, cpu_features=tuple(f"f{i}" for i in range(20))), errors.MissingCpuFeatures, "and 12 more"),
    (lambda t: replace(t, glibc="2.99"), errors.GlibcTooOld, "needs glibc 2.99, this machine has"),
    (lambda t: replace(t, tvm="0.28.0"), errors.VersionMismatch, "compiled with tvm '0.28.0'"),
    (lambda t: replace(t, tvm_ffi="0.1.15"), errors.VersionMismatch, "tvm-ffi '0.1.15'"),
    (lambda t: replace(t, kind="cuda"), errors.DeviceUnavailable, "no code for device 'cpu', only tiny"),
]


@pytest.mark.parametrize(("change", "kind", "words"), REFUSALS, ids=[f"{k.__name__}-{w}" for _, k, w in REFUSALS])
def test_a_wrong_variant_is_refused_before_dlopen(
    spoilt: Path, change: Callable[[Target], Target], kind: type[errors.MachineError], words: str
) -> None:
    (spoilt / "targets" / "tiny" / "model.so").write_bytes(b"no library at all")  # dlopen of it would be EngineError
    retarget(spoilt, change)
    with pytest.raises(kind, match=words):
        ovenbird_runtime.load(spoilt)


@pytest.mark.parametrize("device", ["cuda", "tpu", "", None, 3])
def test_an_unknown_device_is_refused(tiny: Path, device: str) -> None:
    with pytest.raises(errors.DeviceUnavailable):
        ovenbird_runtime.load(tiny, device=device)


def test_code_for_a_gpu_does_not_run_where_there_is_no_driver(spoilt: Path) -> None:
    retarget(spoilt, lambda target: replace(target, kind="cuda"))
    (found,) = inspect_artifact(spoilt)["variants"]
    assert found["runs_here"] or found["reason"].startswith(("DriverMissing", "DriverTooOld", "GpuMissing"))
    if not Path("/proc/driver/nvidia").exists():
        assert not found["runs_here"]


def add_variant(folder: Path, name: str, change: Callable[[Target], Target]) -> None:
    source, new = folder / "targets" / "tiny", folder / "targets" / name
    new.mkdir()
    (new / "model.so").write_bytes((source / "model.so").read_bytes())
    target = decode_target((source / "target.json").read_bytes())
    changed = change(replace(target, target=name))
    (new / "target.json").write_bytes(target_bytes(changed))
    reseal(
        folder,
        lambda m: replace(
            m,
            variants=(*m.variants, VariantRef(name, f"targets/{name}", changed.precision)),
            files=m.files | {f"targets/{name}/{file}": m.files["labels.txt"] for file in ("model.so", "target.json")},
        ),
    )
    reseal(folder)


def test_widest_vectors_win(spoilt: Path) -> None:
    add_variant(spoilt, "wide", lambda t: replace(t, vector_bits=512))
    assert choose_variant(open_artifact(spoilt), "cpu", HERE)[0].target == "wide"


def test_of_equal_vectors_the_one_that_asks_for_more_wins(spoilt: Path) -> None:
    feature = sorted(HERE.features)[0]
    add_variant(spoilt, "newer", lambda t: replace(t, cpu_features=(feature,)))
    assert choose_variant(open_artifact(spoilt), "cpu", HERE)[0].target == "newer"


def test_one_may_be_named(spoilt: Path) -> None:
    add_variant(spoilt, "wide", lambda t: replace(t, vector_bits=512))
    with ovenbird_runtime.load(spoilt, target="tiny") as model:
        assert model.target.target == "tiny"
    with pytest.raises(errors.WrongOption, match="target is 'other', the artifact holds tiny, wide"):
        ovenbird_runtime.load(spoilt, target="other")


def test_the_most_exact_wins_unless_another_is_asked_for(spoilt: Path) -> None:
    add_variant(spoilt, "quick", lambda t: replace(t, vector_bits=512, precision="int8"))
    artifact = open_artifact(spoilt)
    assert [variant.name for variant in artifact.manifest.variants] == ["tiny", "quick-int8"]
    assert choose_variant(artifact, "cpu", HERE)[0].target == "tiny"
    assert choose_variant(artifact, "cpu", HERE, precision="int8")[0].target == "quick"
    for asked in ({"precision": "int8"}, {"target": "quick-int8"}, {"target": "quick"}):
        with ovenbird_runtime.load(spoilt, **asked) as model:  # type: ignore[arg-type]
            assert (model.target.variant, model.target.precision) == ("quick-int8", "int8")
    held = "the artifact holds tiny .f32., quick-int8 .int8."
    with pytest.raises(errors.WrongOption, match=f"precision is 'f16', {held}"):
        ovenbird_runtime.load(spoilt, precision="f16")
    with pytest.raises(errors.WrongOption, match="precision is 'int8'"):
        ovenbird_runtime.load(spoilt, target="tiny", precision="int8")


def test_manifest_and_description_agree_on_the_precision(spoilt: Path) -> None:
    add_variant(spoilt, "quick", lambda t: replace(t, target="tiny", precision="int8"))
    reseal(spoilt, lambda m: replace(m, variants=(m.variants[0], VariantRef("other", "targets/quick"))))
    with pytest.raises(errors.ManifestInvalid, match="computes in int8, the manifest says f32"):
        choose_variant(open_artifact(spoilt), "cpu", HERE)


def test_a_named_one_that_does_not_run_is_refused_alone(spoilt: Path) -> None:
    add_variant(spoilt, "wide", lambda t: replace(t, cpu_features=("avx1024",)))
    with pytest.raises(errors.MissingCpuFeatures, match=r"wide needs .* avx1024"):
        ovenbird_runtime.load(spoilt, target="wide")


def test_what_does_not_run_is_passed_over(spoilt: Path) -> None:
    add_variant(spoilt, "wide", lambda t: replace(t, vector_bits=512, cpu_features=("avx1024",)))
    assert choose_variant(open_artifact(spoilt), "cpu", HERE)[0].target == "tiny"
    with ovenbird_runtime.load(spoilt) as model:
        assert model.target.target == "tiny"


def test_all_reasons_are_given(spoilt: Path) -> None:
    add_variant(spoilt, "wide", lambda t: replace(t, cpu_features=("avx1024",)))
    with pytest.raises(errors.NoVariant) as caught:
        choose_variant(open_artifact(spoilt), "cpu", MachineFacts("riscv64", frozenset(), (2, 40)))
    assert "tiny is code for" in str(caught.value)
    assert "wide is code for" in str(caught.value)
    assert "this machine (riscv64, glibc 2.40, of the features asked for it has none)" in str(caught.value)


def test_musl_has_no_glibc(spoilt: Path) -> None:
    with pytest.raises(errors.GlibcTooOld, match="this machine has none"):
        choose_variant(open_artifact(spoilt), "cpu", replace(HERE, glibc=(0, 0)))
