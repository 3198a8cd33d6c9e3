"""The import rules of pyproject.toml hold, and they bite: a planted violation is found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages under `root`, as `make lint` does."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as main; main()",
            "--no-cache",
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'compile'}:{root / 'runtime'}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of both packages that a test may damage."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("compile", "runtime"):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__", "lib", "*.so", "build"),
        )
    return tmp_path


def test_rules_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "rule"),
    [
        ("runtime/ovenbird_runtime/preprocess/images.py", "import torch", "neither a framework nor a compiler"),
        ("runtime/ovenbird_runtime/model.py", "import tvm", "neither a framework nor a compiler"),
        ("runtime/ovenbird_runtime/manifest/manifest.py", "import ovenbird", "neither a framework nor a compiler"),
        (
            "runtime/ovenbird_runtime/manifest/manifest.py",
            "import ovenbird_runtime.engine.engine",
            "Within the runtime",
        ),
        ("runtime/ovenbird_runtime/preprocess/images.py", "import tvm_ffi", "No module imports tvm_ffi"),
        (
            "runtime/ovenbird_runtime/preprocess/images.py",
            "import ovenbird_runtime.engine.ffi",
            "Only the engine and the model reach",
        ),
        (
            "runtime/ovenbird_runtime/serve/http/reader.py",
            "import ovenbird_runtime.serve.settings",
            "HTTP knows nothing of the rest",
        ),
        (
            "runtime/ovenbird_runtime/serve/models/batcher.py",
            "import ovenbird_runtime.serve.context",
            "Within the server",
        ),
        ("compile/ovenbird/errors.py", "import ovenbird_runtime.engine.engine", "never its engine"),
        ("compile/ovenbird/lowering/walk.py", "import ovenbird.backends.table", "Within the compiler"),
    ],
)
def test_violation_is_found(copy: Path, module: str, line: str, rule: str) -> None:
    path = copy / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    result = lint_imports(copy)
    assert result.returncode == 1
    broken = [report for report in result.stdout.splitlines() if report.endswith("BROKEN")]
    assert any(rule in report for report in broken), result.stdout
