"""Several targets in one artifact: each that runs here is verified, the others say why they were not."""

import platform
from pathlib import Path

import pytest

from ovenbird.compiling import compile_network
from ovenbird.loading.load import load_network
from ovenbird.options import CompileOptions
from ovenbird_runtime.artifact.artifact import open_artifact

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the targets of this test are x86-64")

TARGET = """
summary = "made for a test"
kind = "llvm"
arch = "x86_64"
triple = "x86_64-linux-gnu"
mcpu = "{mcpu}"
features = [{features}]
vector_bits = {bits}
glibc = "2.17"
"""


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, mcpu, features, bits in (
        ("narrow", "x86-64", "", 128),
        ("middle", "x86-64-v2", '"sse4_2"', 128),
        ("future", "x86-64", '"time_travel"', 512),
    ):
        folder = tmp_path / "targets" / name
        folder.mkdir(parents=True)
        (folder / "target.toml").write_text(TARGET.format(mcpu=mcpu, features=features, bits=bits))
    monkeypatch.setattr("ovenbird.targets.resource_folder", lambda name: tmp_path / name)
    monkeypatch.chdir(Path(__file__).parent)


@pytest.mark.usefixtures("targets")
def test_every_variant_that_runs_here_is_verified(tmp_path: Path) -> None:
    network = load_network("networks:detector")
    report = compile_network(
        network, tmp_path / "artifact", CompileOptions(targets=("narrow", "middle", "future"), batch_sizes=(1,))
    )
    assert report.verified == ("narrow", "middle")
    assert "time_travel" in report.unverified["future"]
    assert report.parity is not None
    artifact = open_artifact(tmp_path / "artifact")
    artifact.verify(artifact.manifest.files)
    assert [variant.target for variant in artifact.manifest.variants] == ["narrow", "middle", "future"]
    # whatever their vectors, all variants read one file of weights
    files = {t.file for variant in artifact.manifest.variants for t in artifact.read_target(variant).tensors}
    assert len(files) == 1
    assert len(list((tmp_path / "artifact" / "weights").iterdir())) == 1


@pytest.mark.usefixtures("targets")
def test_an_artifact_for_other_machines_is_not_verified(tmp_path: Path) -> None:
    report = compile_network(
        load_network("networks:tokens"), tmp_path / "artifact", CompileOptions(targets=("future",), batch_sizes=(1,))
    )
    assert report.verified == ()
    assert report.parity is None
    assert open_artifact(tmp_path / "artifact").manifest.parity is None
