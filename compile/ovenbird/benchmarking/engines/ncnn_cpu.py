"""ncnn on the processor, in float32: its converter (the package pnnx) makes a network of the ONNX file.

run = ENGINE.start(job)             # batch 1 alone: its tensors have no dimension for a batch
"""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.benchmarking.engines import BenchEngine, Runner
from ovenbird.benchmarking.jobs import Job, reference_file
from ovenbird.errors import EngineFailed
from ovenbird_runtime.tensors.arrays import Arrays

FOLDER, CONVERT_LIMIT_S = "ncnn", 120.0
LOWER_PRECISIONS = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


def load() -> str:
    """Import ncnn and return its version."""
    return str(importlib.import_module("ncnn").__version__)


def convert(job: Job) -> Path:
    """Return the converted network's path without its two suffixes; converted where it is not there or older.

    Raises EngineFailed.
    """
    with np.load(job.inputs, allow_pickle=False) as archive:
        shapes = ",".join(str(list(archive[name].shape)).replace(" ", "") for name in archive.files)
    folder = Path(job.folder) / FOLDER
    folder.mkdir(exist_ok=True)
    stem = (folder / job.onnx.stem.replace("-", "_")).resolve()  # pnnx would replace them in what it writes
    made = stem.with_name(f"{stem.name}.ncnn.bin")
    if made.is_file() and made.stat().st_mtime_ns > job.onnx.stat().st_mtime_ns:
        return stem.with_name(f"{stem.name}.ncnn")
    link = stem.with_suffix(".onnx")  # everything it writes lies next to what it reads
    link.unlink(missing_ok=True)
    link.symlink_to(job.onnx.resolve())
    converter = importlib.import_module("pnnx").EXEC_PATH
    command = [converter, str(link), f"inputshape={shapes}", "fp16=0"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=CONVERT_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise EngineFailed(f"pnnx had not converted the network after {CONVERT_LIMIT_S:g} s") from None
    if not made.is_file():
        raise EngineFailed(f"pnnx cannot convert the network (exit code {done.returncode})")
    return stem.with_name(f"{stem.name}.ncnn")


def start(job: Job) -> Runner:
    """Convert the ONNX file, once, and load the network. Raises EngineFailed."""
    if job.batch != 1:
        raise EngineFailed("its tensors have no dimension for a batch")
    ncnn: Any = importlib.import_module("ncnn")
    stem = convert(job)
    net = ncnn.Net()
    net.opt.num_threads = job.threads
    net.opt.use_vulkan_compute = False
    for option in LOWER_PRECISIONS:
        setattr(net.opt, option, False)
    if net.load_param(f"{stem}.param") != 0 or net.load_model(f"{stem}.bin") != 0:
        raise EngineFailed("ncnn cannot load what pnnx made of the network")
    eaten, names = _numbered(net.input_names()), _numbered(net.output_names())
    with np.load(reference_file(Path(job.folder), job.batch), allow_pickle=False) as archive:
        shapes = {name: archive[name].shape for name in archive.files}
    if len(names) != len(shapes):
        raise EngineFailed(f"pnnx left {len(names)} of the network's {len(shapes)} outputs")

    def run(inputs: Mapping[str, Any]) -> Arrays:
        extractor = net.create_extractor()
        for name, array in zip(eaten, inputs.values(), strict=True):
            extractor.input(name, ncnn.Mat(array[0]))
        found = (np.array(extractor.extract(name)[1]) for name in names)
        return {name: array.reshape(shape) for (name, shape), array in zip(shapes.items(), found, strict=True)}

    return run


def _numbered(names: list[str]) -> list[str]:
    """Put pnnx's names, in0, in1 ..., in the network's order."""
    return sorted(names, key=lambda name: int("".join(filter(str.isdecimal, name)) or 0))


ENGINE = BenchEngine(
    name="ncnn",
    title="ncnn",
    package="ncnn",
    distributions=("ncnn",),
    needs="onnx",
    load=load,
    start=start,
    converted=True,
    precisions=("f32", "f16"),
)
