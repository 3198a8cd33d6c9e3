"""The process in which the compiler tries an artifact: it holds the runtime, and never TVM's compiler.

    python -m ovenbird.verify.runtime_worker ARTIFACT CASES.npz ANSWERS.npz [--target NAME] [--device cpu]
        [--program NAME] [--tokens N]

CASES.npz holds arrays named `CASE/INPUT`; ANSWERS.npz gets `CASE/OUTPUT`. A refusal by the runtime is one line of JSON
on standard output, `{"error": TYPE, "message": TEXT}`, and exit code 1. `runtime_process.py` is the other end.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.verify.stored import Answers, read_cases, write_cases
from ovenbird_runtime.errors import OvenbirdError


def main(arguments: list[str]) -> int:
    """Run every case and write the answers."""
    artifact, cases_path, answers_path, *rest = arguments
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    cases = read_cases(Path(cases_path))
    # by name: the rule that the compiler never loads the engine holds for every process but this one
    runtime: Any = importlib.import_module("ovenbird_runtime")
    try:
        device = options.get("--device", "cpu")
        model = runtime.load(artifact, device, target=options.get("--target"))
        if "--tokens" in options:
            answers = write_texts(model, cases, int(options["--tokens"]))
        else:
            program = options.get("--program")
            answers = {
                case: {name: np.array(array) for name, array in model.run(dict(inputs), program=program).items()}
                for case, inputs in cases.items()
            }
    except OvenbirdError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        return 1
    write_cases(Path(answers_path), answers)
    return 0


def write_texts(model: Any, cases: Answers, most: int) -> dict[str, dict[str, Any]]:
    """Return the tokens of each case's picture, greedily."""
    writer = model.text_writer(1)
    request = writer.request(max_tokens=most, beams=1)
    return {
        case: {"tokens": np.array(writer.write(given["pixels"], request)[0].tokens)} for case, given in cases.items()
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
