"""What the Python runtime refuses, the C++ runtime refuses: the same kind of error, mostly in the same words."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from native.conftest import ROOT, Command, build, run
from ovenbird_runtime import limits
from ovenbird_runtime.artifact.inspection import inspect_artifact
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.machine.versions import TVM_FFI_VERSION, TVM_VERSION
from ovenbird_runtime.model import load
from support.hostile import HOSTILE, change_manifest, put
from support.tiny_artifact import copy_tiny

CPP = ROOT / "runtime" / "cpp"
DIFFERENT = {
    "a version of 30 digits": "None",  # the C library's floor: code gets its functions from this runtime
    "GPU code of no chip": "DeviceUnavailable: tiny is code for a GPU: use ovenbird-rt",
}
"""Why a variant does not run here, where the two runtimes differ on purpose."""
OWN_WORDS = "not JSON that can be read"
"""Parsers of JSON have words of their own."""


def inspected(artifact: Path) -> tuple[str, list[str]]:
    """Return the error of `inspect`, and why each variant does not run here."""
    try:
        found = inspect_artifact(artifact)
    except OvenbirdError as error:
        return f"{type(error).__name__}: {error}", []
    return "", [str(variant["reason"]) for variant in found["variants"]]


@pytest.mark.parametrize("name", [name for name in HOSTILE if not name.startswith("golden: ")])
def test_hostile_artifacts_are_refused_alike(native: Command, tmp_path: Path, name: str) -> None:
    artifact = copy_tiny(tmp_path)
    HOSTILE[name](artifact)
    error, reasons = inspected(artifact)
    done = native("inspect", artifact, "--json")
    assert done.code == (1 if error else 0), done.err
    assert len(done.err.splitlines()) <= 1
    found = [done.err.strip().removeprefix("error: ")] if error else [
        str(variant["reason"]) for variant in json.loads(done.out)["variants"]
    ]  # fmt: skip
    if name in DIFFERENT:
        assert found == [DIFFERENT[name]]
        return
    for mine, right in zip(found, [error] if error else reasons, strict=True):
        assert mine.partition(":")[0] == right.partition(":")[0], (mine, right)
        if OWN_WORDS not in right:
            assert words(mine) == words(right)


def words(message: str) -> str:
    """Leave out what other languages cannot say alike: huge numbers, and which runtime is to be upgraded."""
    message = re.sub(r"-?\d{19,}|beyond 2\*\*62|[\d.e+]+ GiB", "#", message)
    return message.replace("upgrade ovenbird-runtime", "upgrade it")


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.startswith("golden: ")])
def test_hostile_golden_files_end_in_one_line(native: Command, detector: Path, tmp_path: Path, name: str) -> None:
    artifact = Path(shutil.copytree(detector, tmp_path / "artifact"))
    HOSTILE[name](artifact)
    done = native("selftest", artifact)
    assert done.code == 1
    assert re.fullmatch(r"error: (FileChanged|SelftestFailed|WrongShape|WrongInputNames|WrongDtype): .*\n", done.err)


def spoil_byte(name: str) -> Callable[[Path], None]:
    def spoil(artifact: Path) -> None:
        (path,) = artifact.glob(name)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))

    return spoil


def link(artifact: Path) -> None:
    (path,) = artifact.glob("weights/*.bin")
    path.rename(artifact / "elsewhere")
    path.symlink_to(artifact / "elsewhere")


def cut(artifact: Path) -> None:
    path = artifact / "targets/host/model.so"
    path.write_bytes(path.read_bytes()[:-1])


SPOILT: dict[str, Callable[[Path], None]] = {
    "a byte of the code": spoil_byte("targets/host/model.so"),
    "a byte of the weights": spoil_byte("weights/*.bin"),
    "weights of another BLAKE3": lambda artifact: change_manifest(
        artifact,
        lambda value: [one.update(blake3="ab" * 32) for name, one in value["files"].items() if "weights" in name],
    ),
    "a byte of the plan": spoil_byte("targets/host/plan.json"),
    "a byte of the evidence": spoil_byte("evidence/golden.npz"),
    "a byte of the manifest": spoil_byte("manifest.json"),
    "code that is cut off": cut,
    "weights behind a link": link,
    "no code": lambda artifact: (artifact / "targets/host/model.so").unlink(),
    "no manifest": lambda artifact: (artifact / "manifest.json").unlink(),
    "no artifact": shutil.rmtree,
    "another machine": lambda artifact: change_target(artifact, arch="aarch64" if machine() == "x86_64" else "x86_64"),
    "features that nobody has": lambda artifact: change_target(artifact, cpu_features=["avx1024", "telepathy"]),
    "another pair of libraries": lambda artifact: change_target(artifact, tvm="0.1", tvm_ffi="0.2"),
    "a kernel that there is not": lambda artifact: change_plan(artifact, lambda calls: calls[0].update(kernel="none")),
    "a later schema": lambda artifact: change_manifest(artifact, lambda value: value.update(schema_version=3)),
}


def machine() -> str:
    from ovenbird_runtime.machine.cpu import this_machine

    return this_machine().arch


def change_target(artifact: Path, **changes: object) -> None:
    name = "targets/host/target.json"
    put(artifact, name, json.dumps(json.loads((artifact / name).read_bytes()) | changes).encode())


def change_plan(artifact: Path, change: Callable[[list[dict[str, object]]], object]) -> None:
    name = "targets/host/plan.json"
    plan = json.loads((artifact / name).read_bytes())
    change(plan["entries"][0]["calls"])
    put(artifact, name, json.dumps(plan).encode())


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_artifacts_are_refused_before_code_runs(
    native: Command, detector: Path, tmp_path: Path, name: str
) -> None:
    artifact = Path(shutil.copytree(detector, tmp_path / "artifact"))
    SPOILT[name](artifact)
    done = native("selftest", artifact)
    assert done.code == 1, done.out
    if name == "a kernel that there is not":  # which the Python runtime does not call
        assert done.err.startswith("error: EngineLoadFailed: targets/host/model.so has no kernel 'none'")
        return
    try:
        load(artifact, threads=1).close()
        expected = ""
        if name == "a byte of the plan":  # which it does not read
            expected = "FileChanged: targets/host/plan.json has sha256"
    except OvenbirdError as error:
        expected = f"{type(error).__name__}: {error}"
    assert expected
    assert words(done.err).startswith("error: " + words(expected)), (done.err, expected)


def test_artifacts_without_a_plan_are_named(native: Command, tmp_path: Path) -> None:
    done = native("selftest", copy_tiny(tmp_path))
    assert done.code == 1
    assert done.err.startswith(
        "error: PlanMissing: targets/tiny has no plan.json: it runs on TVM's virtual machine alone"
    )
    done = native("selftest", ROOT / "tests" / "support" / "schema1" / "classifier")
    assert done.err.startswith("error: PlanMissing: manifest.json is of schema 1")


def test_a_signature_is_required_where_it_is_asked_for(native: Command, detector: Path, tmp_path: Path) -> None:
    signing = pytest.importorskip("ovenbird.trust.signing")
    artifact = Path(shutil.copytree(detector, tmp_path / "artifact"))
    for name in ("mine", "other"):
        signing.make_key(tmp_path / name)
    mine, other = tmp_path / "mine.pub", tmp_path / "other.pub"
    assert "SignatureMissing" in native("selftest", artifact, "--require-signature", mine).err
    signing.sign_artifact(artifact, signing.read_private_key(tmp_path / "mine"))
    assert native("selftest", artifact, "--require-signature", mine).code == 0
    assert native("selftest", artifact, OVENBIRD_REQUIRE_SIGNATURE=str(mine)).code == 0
    assert "SignatureForeign" in native("selftest", artifact, "--require-signature", other).err
    change_manifest(artifact, lambda value: value["model"].update(version="2"))
    assert "SignatureWrong" in native("selftest", artifact, "--require-signature", mine).err
    assert "KeyUnreadable" in native("selftest", artifact, OVENBIRD_REQUIRE_SIGNATURE="").err
    assert "WrongKeyType" in native("selftest", artifact, "--require-signature", tmp_path / "mine").err


def test_plans_of_the_conformance_suite() -> None:
    folder = ROOT / "conformance" / "plans"
    cases = json.loads((folder / "cases.json").read_bytes())
    done = run(build() / "ovenbird-plan", folder / "program.json", *(folder / case["plan"] for case in cases))
    found = [line.partition(":")[0] for line in done.out.splitlines()]
    assert found == [case["error"] or "ok" for case in cases]


def test_limits_are_those_of_python() -> None:
    pattern = r"^constexpr \w+ ([A-Z_]+) = ([^;]+);"
    found = dict(re.findall(pattern, (CPP / "src/base/limits.h").read_text(), re.M))
    assert len(found) > 40
    for name, text in found.items():
        value = eval(text.replace("int64_t{1}", "1"))
        assert value == getattr(limits, name), name


def test_versions_are_those_of_python() -> None:
    text = (CPP / "src/machine/machine.h").read_text()
    assert f'TVM_VERSION = "{TVM_VERSION}", *TVM_FFI_VERSION = "{TVM_FFI_VERSION}"' in text


def test_statuses_are_named_as_pythons_errors() -> None:
    from ovenbird_runtime import errors

    text = (CPP / "src/base/errors.cpp").read_text()
    names = set(re.findall(r'return "(\w+)"', text)) - {"Ok", "Unknown"}
    own = {"PlanMissing", "OutOfMemory", "Internal"}
    assert own < names
    assert {name for name in names - own if not hasattr(errors, name)} == set()
    header = (CPP / "include/ovenbird.h").read_text()
    numbers = re.findall(r"^    OVENBIRD_\w+ = (\d+)", header, re.M)
    assert len(set(numbers)) >= len(names)


def test_the_units_hold() -> None:
    done = run(build() / "ovenbird-tests")
    assert done.code == 0, done.out


def mutants(folder: Path, artifact: Path, count: int, bundle: Path) -> None:
    index = b"target host\n0 4 manifest.json\n"
    bundle.write_bytes(b"data" + index + struct.pack("<QQ", 4, len(index)) + b"OVENBIRD")
    files = {
        "manifest": artifact / "manifest.json",
        "json": artifact / "targets/host/plan.json",
        "plan": artifact / "targets/host/plan.json",
        "target": artifact / "targets/host/target.json",
        "elf": artifact / "targets/host/model.so",
        "npz": artifact / "evidence/golden.npz",
        "bundle": bundle,
        "jpeg": ROOT / "conformance/pictures/progressive.jpg",
        "png": ROOT / "conformance/pictures/palette-4-interlaced.png",
    }
    for kind, file in files.items():
        done = run(folder / "ovenbird-mutants", kind, file, "7", str(count))
        assert done.code == 0, (kind, done.code, done.out, done.err)


def test_damaged_files_end_in_errors(detector: Path, tmp_path: Path) -> None:
    mutants(build(), detector, 300, tmp_path / "bundle")


@pytest.mark.slow
def test_the_thread_sanitizer_finds_nothing(detector: Path) -> None:
    sanitized(build("--sanitize", "thread"), detector)


@pytest.mark.slow
def test_fuzzing_and_sanitizers_find_nothing(detector: Path, tmp_path: Path) -> None:
    """By clang where it is there, whose build has the sanitizers of addresses and undefined behaviour, else by g++."""
    script = ROOT / "ci" / "steps"
    fuzzed = run(script / "native.sh", "--fuzz", "--need").code == 0
    folder = build("--fuzz") if fuzzed else build("--sanitize", "address,undefined")
    sanitized(folder, detector)
    mutants(folder, detector, 1000, tmp_path / "bundle")
    if fuzzed:
        done = run(script / "fuzz.sh", detector, RUNS="3000")
        assert done.code == 0, done.out + done.err
        assert done.out.count("inputs: ") == 9


def sanitized(folder: Path, detector: Path) -> None:
    done = run(folder / "ovenbird-tests")
    assert done.code == 0, (done.out, done.err)
    for threads in ("1", "2", "4"):
        done = run(folder / "ovenbird-run", "selftest", detector, "--threads", threads)
        assert done.code == 0, done.err
    done = run(folder / "ovenbird-sessions", detector)
    assert done.code == 0, (done.out, done.err)
