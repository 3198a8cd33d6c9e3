"""Images with one executable in them: no base, no interpreter, no library."""

import json
import subprocess
from pathlib import Path

import pytest

from support.baking import TARGETS, ovenbird, step

ROOT = Path(__file__).resolve().parents[2]
MAX_PROGRAM_BYTES = 2_000_000
MAX_CODE_BYTES = 1_080_000
"""Of a network and all that describes it: with the program of musl, 0.92 MB, an image is 2 MB and its weights."""


@pytest.mark.parametrize("arch", list(TARGETS))
def test_an_image_from_scratch_answers(compiled: Path, arch: str, tmp_path: Path) -> None:
    """Its root, as the builder mounts it: run there, by an emulator for the other processor."""
    machine = {"amd64": "native", "arm64": "native-aarch64"}[arch]
    step("ci/steps/native.sh", *(["--cross", "aarch64"] if arch == "arm64" else []))
    tag = f"localhost/ovenbird-scratch:{arch}"
    words = ("--format", "scratch", "--target", TARGETS[arch], "--tag", tag, "--builder", "buildah", "--json")
    runtime = ROOT / "build" / machine / "ovenbird-run"
    report = json.loads(ovenbird("bake", str(compiled), *words, "--runtime", str(runtime), "--quiet"))
    weights = sum(path.stat().st_size for path in (compiled / "weights").iterdir())
    assert report["runtime_bytes"] <= MAX_PROGRAM_BYTES
    assert report["size_bytes"] <= MAX_PROGRAM_BYTES + weights + 3_000_000  # code, labels, evidence
    slim = ("--tag", f"{tag}-slim", "--no-evidence")
    small = json.loads(ovenbird("bake", str(compiled), *words, *slim, "--runtime", str(runtime), "--quiet"))
    evidence = sum(path.stat().st_size for path in (compiled / "evidence").iterdir())
    assert small["size_bytes"] <= report["size_bytes"] - evidence
    assert small["size_bytes"] <= report["runtime_bytes"] + weights + MAX_CODE_BYTES
    container = step("buildah", "from", "--pull-never", tag).split()[-1]
    try:
        root = Path(step("buildah", "mount", container).split()[-1])
        assert [path.name for path in root.iterdir() if path.is_file()] == ["model"]
        picture = ROOT / "conformance/pictures/progressive.jpg"
        emulator = ["qemu-aarch64-static"] if arch == "arm64" else []
        command = [*emulator, str(root / "model")] if emulator else ["chroot", str(root), "/model"]
        if emulator:
            command += ["run", str(picture), "--json"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        else:
            (root / "photo.jpg").write_bytes(picture.read_bytes())
            command += ["run", "/photo.jpg", "--json"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)[0]["classes"]["logits"]) == 2
        config = json.loads(step("buildah", "inspect", "--type", "image", tag))["Docker"]["config"]
        assert config["Entrypoint"] == ["/model"]
        assert config["User"] == "65532:65532"
    finally:
        step("buildah", "rm", container)
