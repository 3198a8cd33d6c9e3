"""When TVM reads the symbols of libraries, for the first of its errors in a process."""

import os
import subprocess
import sys

FAIL_ONCE = """
import sys, traceback
from pathlib import Path
from ovenbird.host.symbols import read_symbols_early

def regions():
    return Path("/proc/self/maps").read_text().count("libtorch_cpu.so")

read_symbols_early()
import torch
before = regions()
import tvm
try:
    tvm.ir.Op.get("no operator")
except AttributeError as error:
    assert "no operator is not registered" in str(error), error
    assert "Op::Get" in traceback.format_exc()
read_symbols_early()
print(before, regions())
"""


def test_torchs_symbols_are_not_read_for_an_error() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", FAIL_ONCE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert before == after
