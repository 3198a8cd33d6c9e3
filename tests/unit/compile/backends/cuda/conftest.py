"""GPU code of small networks, compiled once for each pair of target and precision."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.compiling import compile_network
from ovenbird.errors import NoCudaCompiler
from ovenbird.loading.load import load_network
from ovenbird.options import CompileOptions
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.manifest.agreement import Precision
from ovenbird_runtime.manifest.parity import variant_name


class Compiled(NamedTuple):
    """An artifact for one target, the CUDA source its code was made from, and the assembly of the processor's part."""

    artifact: Path
    target: str
    source: str
    host_code: str

    @property
    def folder(self) -> Path:
        """The variant's own folder."""
        return self.artifact / open_artifact(self.artifact).manifest.variants[0].path

    @property
    def library(self) -> bytes:
        return (self.folder / "model.so").read_bytes()


Compile = Callable[[str, str, Precision], Compiled]


@pytest.fixture(scope="session")
def compile_gpu(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile a network of `support.gpu_networks` for a target, batches 1 and 3."""
    try:
        find_nvcc()
    except NoCudaCompiler as error:
        pytest.skip(str(error))

    @functools.cache
    def work(name: str, target: str, precision: Precision) -> Compiled:
        output = tmp_path_factory.mktemp("gpu") / f"{name}-{target}-{precision}"
        options = CompileOptions((target,), (1, 3), "none", dump=("cu", "asm"), precisions=(precision,))
        report = compile_network(load_network(f"support.gpu_networks:{name}"), output, options)
        assert report.dumped is not None
        dumped = report.dumped / variant_name(target, precision)
        return Compiled(output, target, (dumped / "model.cu").read_text(), (dumped / "model.asm").read_text())

    return work
