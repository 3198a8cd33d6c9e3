"""Kernels of plain loops on an emulated GPU: a thread for each step, channels last, launches in a loop over time."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ovenbird.backends.building import build_module
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.errors import NoCudaCompiler
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.operators.indexing.scatter import ScatterElements
from ovenbird.operators.indexing.sort import Sort
from ovenbird.operators.indexing.topk import TopK
from ovenbird.operators.recurrent.layer import Recurrent, pack_weights
from ovenbird.operators.vision.roi_align import RoiAlign
from ovenbird.targets import load_target
from support.cuda_emulation import build_emulation
from support.own_kernels import Call, module_of, run_operators

RUN = """
import pickle, sys, tvm
from tvm import relax
library, given, found = sys.argv[1:]
tensors, function = pickle.load(open(given, "rb"))
device = tvm.cuda()
machine = relax.VirtualMachine(tvm.runtime.load_module(library), device)
outputs = machine[function](*[tvm.runtime.tensor(array, device) for array in tensors])
pickle.dump([output.numpy() for output in outputs], open(found, "wb"))
"""


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_agrees_with_the_processor(tmp_path: Path) -> None:
    try:
        find_nvcc()
    except NoCudaCompiler as error:
        pytest.skip(str(error))
    sigmoid, tanh = ("sigmoid", 0.0, 0.0), ("tanh", 0.0, 0.0)
    regions = np.array([[0, 1, 1, 9, 9], [0, 0, 0, 3, 5]], np.float32)
    layer = (numbers(3, 2, 64), pack_weights(numbers(64, 16)), numbers(2, 16), numbers(2, 16))
    calls = [
        Call(Sort(1, descending=True), (numbers(200, 7),)),
        Call(Sort(1, descending=False), (numbers(3, 90),)),
        Call(TopK(1, 3), (numbers(3, 90),)),
        Call(TopK(1, 20), (numbers(3, 90),)),
        Call(ScatterElements(1, "mean"), (numbers(2, 37), np.array([[0, -1, 0, 99]]), numbers(1, 4))),
        Call(RoiAlign((2, 2), 0.5, 2, aligned=True), (numbers(1, 5, 9, 7), regions)),
        Call(Recurrent("lstm", 16, False, (sigmoid, tanh, tanh)), layer),
    ]
    built = build_module({EntryKey(batch=1): module_of(calls)}, load_target("cuda-sm80"), dump=tmp_path / "code")
    built.export(tmp_path / "model.so")
    emulation = build_emulation(tmp_path / "emulation", (tmp_path / "code" / "model.cu").read_text())
    tensors = [array for call in calls for array in call.inputs]
    tensors += [built.tensors[index] for index in built.entries[0].weights]
    (tmp_path / "given").write_bytes(pickle.dumps((tensors, built.entries[0].function)))
    environment = {**emulation.environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    files = [str(tmp_path / name) for name in ("model.so", "given", "found")]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *files], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = iter(pickle.loads((tmp_path / "found").read_bytes()))
    for outputs in run_operators(calls):
        for right in outputs:
            np.testing.assert_allclose(next(found), right, atol=1e-5)
