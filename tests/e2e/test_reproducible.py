"""Two compilations of one network, in other folders, with other hash seeds: the same digest, the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ovenbird_runtime.artifact.artifact import open_artifact

HERE = Path(__file__).parent


def compile_elsewhere(root: Path, seed: str) -> Path:
    work, temporary = root / "some" / "where", root / "temporary"
    for folder in (work, temporary):
        folder.mkdir(parents=True)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE), *(path for path in sys.path if path)]),
        "PYTHONHASHSEED": seed,
        "TMPDIR": str(temporary),
        "HOME": str(root),
        "TZ": f"UTC{seed}",
    }
    command = [sys.executable, "-m", "ovenbird", "compile", "networks:detector", "-o", "artifact", "-q"]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return work / "artifact"


def test_the_same_bytes_from_everywhere(compiled: Callable[..., Path], tmp_path: Path) -> None:
    one, other = compiled("networks:detector"), compile_elsewhere(tmp_path / "deeper" / "other", "2")
    files = {str(path.relative_to(one)) for path in one.rglob("*") if path.is_file()}
    assert {"SHA256SUMS", "sbom.cdx.json", "provenance.json", "manifest.json"} <= files
    assert files == {str(path.relative_to(other)) for path in other.rglob("*") if path.is_file()}
    different = [name for name in sorted(files) if (one / name).read_bytes() != (other / name).read_bytes()]
    assert different == []
    assert open_artifact(one).manifest.digest == open_artifact(other).manifest.digest
    assert [path.name for path in other.parent.iterdir()] == ["artifact"]
