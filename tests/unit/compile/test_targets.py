"""Targets: read from folders, checked field by field, and the host as it is."""

import re
from pathlib import Path

import pytest

from ovenbird.errors import TargetInvalid, UnknownTarget
from ovenbird.host.detection import ARM_FEATURES, X86_FEATURES, cache_bytes, cpu_flags, describe_host
from ovenbird.targets import TargetSpec, load_target, parse_target, target_folders

PLAIN = """
summary = "a plain one"
kind = "llvm"
arch = "x86_64"
triple = "x86_64-linux-gnu"
mcpu = "x86-64-v3"
features = ["avx2", "fma"]
vector_bits = 256
linker = ["g++ -m64", "c++"]

[container]
base = "somebody else's table"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "target.toml"
    path.write_text(text)
    return path


def test_a_target_file_becomes_a_spec(tmp_path: Path) -> None:
    spec = parse_target("plain", written(tmp_path, PLAIN))
    assert (spec.name, spec.kind, spec.features, spec.linker) == ("plain", "llvm", ("avx2", "fma"), ("g++ -m64", "c++"))
    assert spec.registers == 16
    target = spec.tvm_target()
    assert target.kind.name == "llvm"
    assert target.attrs["mcpu"] == "x86-64-v3"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("vector_bits = 256", 'vector_bits = "wide"'), "vector_bits"),
        (("vector_bits = 256", "vector_bits = -1"), "vector_bits"),
        (("vector_bits = 256", "vector_bits = true"), "vector_bits"),
        (("vector_bits", "vectorbits"), "vector_bits"),
        (('kind = "llvm"', 'kind = "fpga"'), "kind"),
        (('mcpu = "x86-64-v3"', ""), "mcpu"),
        (('features = ["avx2", "fma"]', 'features = "avx2"'), "features"),
        (("[container]", "[container"), "target.toml"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: tuple[str, str], named: str) -> None:
    with pytest.raises(TargetInvalid, match=named):
        parse_target("plain", written(tmp_path, PLAIN.replace(*change, 1)))


@pytest.mark.parametrize("name", ["chip", "cuda_arch"])
def test_a_gpus_target_has_a_chip_and_a_host(tmp_path: Path, name: str) -> None:
    """`cuda_arch` is what the field was called."""
    text = PLAIN.replace('kind = "llvm"', f'kind = "cuda"\n{name} = "sm_90"')
    text = text.replace("[container]", "[attributes]\nmax_threads_per_block = 1024\n[container]")
    target = parse_target("gpu", written(tmp_path, text)).tvm_target()
    assert target.kind.name == "cuda"
    assert target.attrs["arch"] == "sm_90"
    assert target.host.attrs["mcpu"] == "x86-64-v3"


def test_every_target_of_the_repository_is_valid() -> None:
    names = list(target_folders())
    assert "host" in names
    for name in names:
        assert load_target(name).summary


def unnamed(spec: TargetSpec) -> list[str]:
    """What LLVM may use by itself that a target does not ask its machines for: there it would end in SIGILL."""
    from tvm.target import codegen

    used = {str(feature) for feature in codegen.llvm_get_cpu_features(spec.tvm_target())}
    names = X86_FEATURES if spec.arch == "x86_64" else ARM_FEATURES
    return sorted(name for feature, name in names.items() if feature in used and name not in spec.features)


@pytest.mark.parametrize("name", [name for name in target_folders() if not name.startswith("cuda")])
def test_a_target_names_every_feature_that_its_code_may_use(name: str) -> None:
    assert unnamed(load_target(name)) == []


def test_the_target_of_the_page_does_too(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/add-a-target.md").read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    spec = parse_target("x86-64-zen3", written(tmp_path, text))
    assert unnamed(spec) == []


def test_an_unknown_target_is_refused_with_what_is_near() -> None:
    with pytest.raises(UnknownTarget, match=r"unknown target 'hots'; did you mean host\?"):
        load_target("hots")


def test_the_host_needs_only_what_it_has() -> None:
    spec = load_target("host")
    assert set(spec.features) <= cpu_flags()
    assert spec.vector_bits in (128, 256, 512)
    assert spec.l1d_bytes >= 8 * 1024
    assert spec.cores >= 1


def test_what_the_kernel_hides_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def an_old_processor(cpu: str, flags: frozenset[str]) -> tuple[str, frozenset[str]]:
        return "znver4", frozenset({"sse4.2", "avx2", "avx512f", "fma"})

    monkeypatch.setattr("ovenbird.host.detection.llvm_view", an_old_processor)
    monkeypatch.setattr("ovenbird.host.detection.cpu_flags", lambda: frozenset({"sse4_2", "avx2", "fma", "ept"}))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    found = describe_host()
    assert found["mattr"] == ("-avx512f",)
    assert found["features"] == ("avx2", "fma", "sse4_2")
    assert found["vector_bits"] == 256


def test_an_unknown_architecture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(TargetInvalid, match="riscv64"):
        describe_host()


def test_caches_are_read_from_sysfs(tmp_path: Path) -> None:
    for index, (level, kind, size) in enumerate(
        [("1", "Instruction", "32K"), ("1", "Data", "48K"), ("2", "Unified", "2M")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(value + "\n")
    assert cache_bytes(1, 1, tmp_path) == 48 * 1024
    assert cache_bytes(2, 1, tmp_path) == 2 * 1024 * 1024
    assert cache_bytes(3, 7, tmp_path) == 7
