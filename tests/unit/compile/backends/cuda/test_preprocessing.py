"""Pre-processing in a GPU's library: code for the processor, as fast as in a processor's own, with Pillow's pixels."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tvm
from elftools.elf.elffile import ELFFile

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.compiling import compile_network
from ovenbird.loading.load import load_network
from ovenbird.operators.resampling import LINEAR, RESAMPLE, linear_kernel, resampling_kernel
from ovenbird.options import CompileOptions
from ovenbird.targets import load_target
from ovenbird_runtime.manifest.agreement import Precision
from support.cuda_emulation import build_emulation

from .conftest import Compile

SYMBOL = f"__tvm_ffi_{RESAMPLE}"
"""As TVM's FFI names an exported function."""


@pytest.mark.parametrize(
    ("target", "precision"), [pytest.param("cuda-sm75", "f16", marks=pytest.mark.slow), ("cuda-sm90", "f32")]
)
def test_is_named_and_exported(compile_gpu: Compile, target: str, precision: Precision) -> None:
    compiled = compile_gpu("convolutions", target, precision)
    folder = compiled.folder
    assert json.loads((folder / "target.json").read_text())["resample"] == RESAMPLE
    with (folder / "model.so").open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".dynsym")
        (symbol,) = symbols.get_symbol_by_name(SYMBOL)
    assert symbol["st_info"]["type"] == "STT_FUNC"
    assert symbol["st_shndx"] != "SHN_UNDEF"
    assert RESAMPLE not in compiled.source, "it is a kernel of the GPU"


def body(assembly: str) -> list[str]:
    """The instructions of both functions, and those of what they were split into."""
    parts = re.findall(rf"^(?:{SYMBOL}|{RESAMPLE}\w*):\n(.*?)^\.Lfunc_end", assembly, re.MULTILINE | re.DOTALL)
    return [line.strip() for part in parts for line in part.splitlines() if line.startswith("\t")]


def test_its_code_is_a_processor_s(compile_gpu: Compile) -> None:
    """As many vector instructions as the variant for the same processor alone has, and no memory asked for."""
    ours = body(compile_gpu("convolutions", "cuda-sm90", "f32").host_code)
    module = tvm.IRModule({RESAMPLE: resampling_kernel(), LINEAR: linear_kernel()})
    alone = tvm.tirx.build(module, load_target("x86-64-v3").tvm_target(), pipeline=codegen_pipeline())
    theirs = body(str(alone.inspect_source("asm")))
    for code in (ours, theirs):
        assert sum("ymm" in line for line in code) > 20
        assert not [line for line in code if "Workspace" in line]
    for instruction in ("vpmulld", "vpmovzxbd", "vpminsd"):
        assert sum(instruction in line for line in ours) == sum(instruction in line for line in theirs), instruction


PREDICT = """
import sys, json, numpy as np, ovenbird_runtime
from ovenbird_runtime.engine.virtual_machine import Code
from ovenbird_runtime.preprocess.interpreted import apply
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pad, Resize
from support.pictures import noise

calls, function_of = [], Code.host_function

def counted(self, name):
    kernel = function_of(self, name)
    assert kernel is not None, self.target.target
    return lambda *arguments: (calls.append(self.target.kind), kernel(*arguments))

Code.host_function = counted
letterbox = (Resize(fit=(64, 48)), Pad(size=(64, 48), value=128), Normalise())
exact = (Resize(exact=(97, 33), interpolation="bicubic"), CentreCrop(size=(31, 17)), Normalise(order="bgr"))
images = [noise(*size) for size in ((500, 375), (375, 500), (257, 255), (63, 100), (1500, 1100))]
with ovenbird_runtime.load(sys.argv[1], "cuda") as gpu, ovenbird_runtime.load(sys.argv[1], "cpu") as processor:
    assert (gpu.target.kind, processor.target.kind) == ("cuda", "llvm")
    pipelines = [*gpu.manifest.preprocess.pipelines.values(), letterbox, exact]
    for pipeline in pipelines:
        for index, image in enumerate(images):
            expected = apply(pipeline, image, 5, index)
            for model in (gpu, processor):
                np.testing.assert_array_equal(model.preprocessor.apply(pipeline, image, 5, index), expected)
    counts = {kind: calls.count(kind) for kind in ("cuda", "llvm")}
    name, pixels = gpu.inputs[0].name, [gpu.preprocessor.apply(pipelines[0], image) for image in images]
    answers = [next(iter(model.run({name: np.stack(pixels)}).values())) for model in (gpu, processor)]
    predicted = gpu.predict(images, preprocess="imagenet")
print(json.dumps({"expected": len(pipelines) * len(images), "counts": counts, "predicted": len(predicted),
                  "all": calls.count("cuda"), "apart": float(np.abs(answers[0] - answers[1]).max())}))
"""


@pytest.mark.slow
def test_pixels_are_pillow_s_on_the_gpu(tmp_path: Path) -> None:
    """The runtime calls it for images in the host's memory and hands the emulated GPU what it gives."""
    options = CompileOptions(("cuda-sm90", "x86-64-v3"), (1, 3), "none", dump=("cu",))
    report = compile_network(load_network("support.gpu_networks:transformer"), tmp_path / "net", options)
    assert report.dumped is not None
    emulation = build_emulation(tmp_path / "emulation", (report.dumped / "cuda-sm90" / "model.cu").read_text())
    environment = {**emulation.environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PREDICT, str(tmp_path / "net")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["counts"] == {"cuda": facts["expected"], "llvm": facts["expected"]}, "some images were left to Pillow"
    assert facts["predicted"] == 5
    assert facts["all"] == facts["expected"] + 5 + 5  # the batch, and `predict`
    assert facts["apart"] < 1e-5
