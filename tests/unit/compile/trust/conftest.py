"""A small artifact written by the compiler's own writer, without a compiler's work: code is a file like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ovenbird.artifact.artifact_writer import ArtifactWriter
from ovenbird.artifact.packaging import write_file
from ovenbird.networks.network import Network
from ovenbird.options import CompileOptions
from ovenbird.targets import TargetSpec
from ovenbird.trust.provenance import record_origin
from ovenbird.trust.sums import write_sums
from ovenbird_runtime.machine.cpu import this_machine
from ovenbird_runtime.machine.versions import TVM_FFI_VERSION, TVM_VERSION
from ovenbird_runtime.manifest.manifest import Entry, Target, TensorSpec, VariantRef, WeightsInfo, target_bytes

HOST = TargetSpec("t", "a test's", "llvm", this_machine().arch, "", "")  # type: ignore[arg-type]


class Source:
    """A source that has a digest and nothing else."""

    framework, batched = "torch", True

    def digest(self) -> str:
        return "ab" * 32


def written(folder: Path, licence: str = "Apache-2.0", **options: Any) -> Path:
    """Write the artifact into `folder`."""
    folder.mkdir(parents=True)
    spec = TensorSpec("x", "float32", ("N", 4))
    network = Network(
        "net", "1", licence, WeightsInfo("file", "net.pth"), (spec,), (spec,), Source()  # type: ignore[arg-type]
    )  # fmt: skip
    writer = ArtifactWriter(folder, network)
    target = Target(
        2, "t", "f32", "llvm", "x86_64-linux-gnu", "x86_64", (), "2.17", TVM_VERSION, TVM_FFI_VERSION, 64, 128,
        (Entry("main", 1, (), "main", ()),), (),
    )  # fmt: skip
    write_file(folder / "targets/t/target.json", target_bytes(target))
    write_file(folder / "targets/t/model.so", b"code")
    write_file(folder / f"weights/{'0' * 63}1.bin", b"weights")
    writer.variants.append(VariantRef("t", "targets/t"))
    record_origin(writer, [HOST], CompileOptions(targets=("t",), **options), {})
    writer.write_manifest(None, {})
    write_sums(folder)
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return written(tmp_path / "artifact")
