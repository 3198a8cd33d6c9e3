"""Which of TVM's instructions a compile registers, and that TVM's own way to them stays open."""

import os
import subprocess
import sys

REGISTER = """
from tvm.s_tir import TensorIntrin
from ovenbird.backends.cuda.schedules.intrinsics import MODULE, wmma_group

names = wmma_group()
found = {name: TensorIntrin.get(name) for name in names.values()}
assert len(found) == 5, found
assert "tvm_mma_sync" in found[names["compute"]].impl.script()
assert TensorIntrin.get("wmma_sync_16x16x16_s8s8s32", allow_missing=True) is None, "all were registered"

import sys
from tvm.s_tir.tensor_intrin import cuda, x86  # as TVM's tuner does
assert sys.modules[MODULE] is cuda
assert TensorIntrin.get(names["compute"]).same_as(found[names["compute"]])
"""


def test_those_of_the_group_alone_and_under_their_names() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", REGISTER]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
