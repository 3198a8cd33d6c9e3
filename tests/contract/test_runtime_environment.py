"""What a target gets: `.venv-runtime`, made by `make setup` from `pip install ./runtime` alone."""

import json
import statistics
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-runtime"
PYTHON = VENV / "bin" / "python"
MAX_SIZE_MB = 25.0
# `import numpy` is the floor that any numerical package pays; the rest is ours.
MAX_IMPORT_RATIO = 3.0

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-runtime; run `make setup`")


def ask(code: str) -> object:
    """Run `code` in the target's environment and return what it prints, as JSON."""
    result = subprocess.run([PYTHON, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(result.stdout)


def test_holds_neither_framework_nor_compiler() -> None:
    code = """
import importlib.metadata, importlib.util, json
names = ["torch", "torchvision", "tvm", "ovenbird", "onnx", "onnxruntime", "xgboost", "scipy"]
print(json.dumps([n for n in names if importlib.util.find_spec(n)]))
"""
    assert ask(code) == []


def test_installed_packages_stay_within_their_size() -> None:
    # pip and setuptools belong to the environment, numpy and Pillow are the stated exceptions.
    code = """
import importlib.metadata, json
apart = {"pip", "setuptools", "numpy", "pillow"}
sizes = {}
for dist in importlib.metadata.distributions():
    if dist.name.lower() not in apart:
        files = [dist.locate_file(file) for file in dist.files or []]
        sizes[dist.name] = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
print(json.dumps(sizes))
"""
    sizes = ask(code)
    assert isinstance(sizes, dict)
    assert "ovenbird-runtime" in sizes
    total = sum(sizes.values())
    report = ", ".join(f"{name} {size:.1f}" for name, size in sorted(sizes.items()))
    assert total <= MAX_SIZE_MB, f"{total:.1f} MB installed, limit {MAX_SIZE_MB} MB: {report}"


@pytest.mark.alone
def test_import_takes_little_longer_than_numpys() -> None:
    """Against `import numpy` in the same environment, in turn, so that a slow machine cancels out."""

    def seconds(statement: str) -> float:
        start = time.perf_counter()
        subprocess.run([PYTHON, "-I", "-c", statement], timeout=60, check=True)
        return time.perf_counter() - start

    seconds("import ovenbird_runtime")  # writes the byte code
    ours, floor = [], []
    for _ in range(7):
        ours.append(seconds("import ovenbird_runtime"))
        floor.append(seconds("import numpy"))
    ratio = statistics.median(ours) / statistics.median(floor)
    assert ratio <= MAX_IMPORT_RATIO, (
        f"import ovenbird_runtime takes {statistics.median(ours):.3f} s, {ratio:.2f} x `import numpy`, "
        f"limit {MAX_IMPORT_RATIO}"
    )


def test_import_loads_no_framework() -> None:
    code = """
import json, sys
import ovenbird_runtime
print(json.dumps(sorted({"torch", "tvm", "ovenbird", "onnx"} & set(sys.modules))))
"""
    assert ask(code) == []
