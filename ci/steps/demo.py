"""The demo: compile the two-output ResNet50 for this machine, run it on a photograph without torch or compiler.

    .venv/bin/python ci/steps/demo.py [--weights FILE] [--image examples/chelsea.png]     (`make demo` calls this)

The compiler works in `.venv`; the artifact runs in `.venv-runtime`, which holds the runtime and nothing else. An
artifact is compiled once and used again while its key (sources, dependencies, weights, processor) stays the same.
Where ImageNet weights can be neither found nor fetched, ResNet50 runs with seeded random ones, marked as such, and
EfficientNet-lite0, whose weights come in a package, shows a meaningful answer.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OVENBIRD = ROOT / ".venv" / "bin" / "ovenbird"
OVENBIRD_RT = ROOT / ".venv-runtime" / "bin" / "ovenbird-rt"
ARTIFACTS = ROOT / "artifacts"
RANDOM = "random:0"


def main() -> int:
    """Run the demo; return 0 when every step worked, otherwise the exit code of the one that did not."""
    parser = argparse.ArgumentParser(description="Compile ResNet50 for this machine and run it on a photograph.")
    parser.add_argument("--weights", help="a torchvision state_dict (.pth); default: torchvision's own, fetched")
    parser.add_argument("--image", type=Path, default=ROOT / "examples" / "chelsea.png")
    options = parser.parse_args()
    if options.weights:
        options.weights = str(Path(options.weights).expanduser())
    if options.weights and not Path(options.weights).is_file():
        say(f"error: WeightsUnavailable: no file {options.weights}; give an existing one: make demo WEIGHTS=file.pth")
        return 1
    options.image = options.image.expanduser()
    if not options.image.is_file():
        say(f"error: ImageNotFound: no file {options.image}; give a photograph: make demo PHOTO=file.jpg")
        return 1

    resnet, code = prepare("resnet50", options.weights)
    if code == 0 and resnet is not None:
        return show(resnet, options.image)
    if code:
        return code

    say("ImageNet weights for resnet50 can be neither found nor fetched: going on with RANDOM ones (seed 0).")
    say("Its answer below means nothing; efficientnet-lite0, with real weights, follows.")
    for model, weights in (("resnet50", RANDOM), ("efficientnet-lite0", None)):
        artifact, code = prepare(model, weights)
        code = code or (show(artifact, options.image) if artifact else 1)
        if code:
            return code
    return 0


def prepare(model: str, weights: str | None) -> tuple[Path | None, int]:
    """Compile `model`, or find it compiled already.

    Returns (artifact, 0); (None, 0) when its weights cannot be had; (None, exit code) when the compiler failed.
    """
    artifact = ARTIFACTS / ("resnet50-random" if weights == RANDOM else model)
    note = ARTIFACTS / f".demo-{artifact.name}.key"
    key = key_of(model, weights)
    if (artifact / "manifest.json").is_file() and note.is_file() and note.read_text(encoding="utf-8") == key:
        say(f"using {artifact.relative_to(ROOT)} again: sources, weights and machine are those it was compiled for")
        return artifact, 0

    note.unlink(missing_ok=True)
    command = [str(OVENBIRD), "compile", model, "--target", "host", "-o", str(artifact)]
    if weights:
        command += ["--weights", weights]
    start = time.monotonic()
    code, refusal = run(command)
    if code:
        return None, 0 if "WeightsUnavailable" in refusal and weights is None else code
    note.write_text(key, encoding="utf-8")
    say(f"compiled {model} in {time.monotonic() - start:.0f} s")
    return artifact, 0


def show(artifact: Path, image: Path) -> int:
    """Run the artifact on the image, in the environment that has neither torch nor the compiler."""
    code, _ = run([str(OVENBIRD_RT), "run", str(artifact), str(image.absolute()), "--top", "2"])
    if code == 0:
        say(f"another photograph: .venv-runtime/bin/ovenbird-rt run {artifact.relative_to(ROOT)} FILE")
    return code


def run(command: list[str]) -> tuple[int, str]:
    """Run a command, showing what it prints; return its exit code and its last line on stderr."""
    say("$ " + " ".join(part.removeprefix(f"{ROOT}/") for part in command))
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            last = line
    return process.returncode, last


def key_of(model: str, weights: str | None) -> str:
    """Return a digest of everything a compilation depends on."""
    digest = hashlib.sha256(f"{model} {platform.python_version()} {processor()}".encode())
    folders = (ROOT / "compile", ROOT / "runtime", ROOT / "targets" / "host", ROOT / "tuning_logs" / "host" / model)
    files = [ROOT / "pyproject.toml", ROOT / "ci" / "constraints.txt"]
    files += [path for folder in folders for path in sorted(folder.rglob("*.*")) if path.suffix in SOURCES]
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    if weights and weights != RANDOM:
        with Path(weights).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


SOURCES = {".py", ".toml", ".json", ".txt"}


def processor() -> str:
    """Name this machine's processor and its features, as far as Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def say(line: str) -> None:
    """Print a line at once: children write to the same place."""
    print(f"== {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
