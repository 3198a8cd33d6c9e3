"""What times artifacts leaves TVM to other processes: an artifact can be loaded in this one."""

import pytest

from ovenbird.process.children import python_process


@pytest.mark.parametrize("module", ["artifact_profile", "running", "preparing", "ablation.measuring"])
def test_tvm_is_not_imported(module: str) -> None:
    code = f"import sys, ovenbird.benchmarking.{module}; sys.exit('tvm' in sys.modules or 'torch' in sys.modules)"
    done = python_process(["-c", code])
    assert (done.returncode, done.stderr) == (0, "")
