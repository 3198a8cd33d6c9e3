"""Check every file of an artifact against its manifest, and its target's description. Loads no code of it.

    .venv/bin/python ci/steps/check_files.py build/ci/artifacts/x86-64-v3 x86-64-v3
    .venv/bin/python ci/steps/check_files.py build/ci/artifacts/x86-64-v3 x86-64-v3 --runs-here     # exit code 3: no

Exit codes: 0 good, 1 the artifact is not what it says (one line says why), 3 this machine cannot run the target.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ovenbird.compiling import runs_here
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.errors import OvenbirdError

ELF_MACHINES = {62: "x86_64", 183: "aarch64"}
CANNOT_RUN = 3


def main() -> int:
    """Check; return the exit code."""
    parser = argparse.ArgumentParser(description="Check an artifact's files against its manifest.")
    parser.add_argument("artifact", type=Path)
    parser.add_argument("target")
    parser.add_argument("--runs-here", action="store_true", help="only say whether this machine runs the target")
    options = parser.parse_args()
    try:
        opened = open_artifact(options.artifact)
        variant = next((one for one in opened.manifest.variants if one.target == options.target), None)
        if variant is None:
            return fail(f"WrongTarget: {options.artifact} has no code for {options.target}")
        if options.runs_here:
            why_not = runs_here(options.artifact / variant.path / "target.json")
            if why_not:
                print(f"{options.target}: {why_not}")
            return CANNOT_RUN if why_not else 0
        opened.verify(opened.manifest.files)
        target = opened.read_target(variant)
        code = options.artifact / variant.path / "model.so"
        machine = ELF_MACHINES.get(int.from_bytes(code.read_bytes()[18:20], "little"), "another machine")
        if machine != target.arch:
            return fail(f"WrongMachine: {code} is code for {machine}, target.json says {target.arch}")
    except OvenbirdError as error:
        return fail(f"{type(error).__name__}: {error}")
    print(f"{options.target}: {len(opened.manifest.files)} files as written, code for {target.arch}")
    return 0


def fail(message: str) -> int:
    """Print what is wrong, in one line; return the exit code."""
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
