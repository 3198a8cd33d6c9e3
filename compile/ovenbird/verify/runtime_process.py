"""Running an artifact from the compiler: in a process of its own, as two copies of TVM's runtime cannot share one.

answers = run_artifact(Path("artifacts/resnet50"), {"case0": {"image": array}})
answers["case0"]["logits"]
with artifact_running(Path("artifacts/resnet50"), cases) as answers:
    ...                 # runs at the same time
    answers()["case0"]["logits"]
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ovenbird.errors import RuntimeFailed
from ovenbird.process.children import ending, runtime_running
from ovenbird.verify.stored import Answers, read_cases, write_cases
from ovenbird_runtime.tensors.arrays import Arrays


def run_artifact(artifact: Path, cases: Mapping[str, Arrays]) -> Answers:
    """Run an artifact's best variant on named cases of named inputs.

    Raises RuntimeFailed with the runtime's own reason.
    """
    with artifact_running(artifact, cases) as answers:
        return answers()


@contextmanager
def artifact_running(
    artifact: Path,
    cases: Mapping[str, Arrays],
    target: str | None = None,
    device: str = "cpu",
    program: str | None = None,
    tokens: int | None = None,
) -> Iterator[Callable[[], Answers]]:
    """Start a program of an artifact (its variant for `target`, or its best) on named cases, on a device; give what
    waits for the answers, or raises RuntimeFailed with the runtime's own reason. Left, it ends. `tokens`: the cases are
    pictures, `pixels`, of which texts of so many `tokens` at most are written.
    """
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as work:
        given, got = Path(work) / "cases.npz", Path(work) / "answers.npz"
        write_cases(given, cases)
        command = ["-m", "ovenbird.verify.runtime_worker", str(artifact), str(given), str(got)]
        command += ["--device", device]
        command += ["--program", program] if program else []
        command += ["--target", target] if target else []
        command += ["--tokens", str(tokens)] if tokens else []
        with runtime_running(command) as ended:

            def answers() -> Answers:
                done = ended()
                if done.returncode != 0:
                    raise RuntimeFailed(f"the runtime could not run the artifact: {_reason(done)}")
                return read_cases(got)

            yield answers


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            found = json.loads(line)
            return f"{found['error']}: {found['message']}"
    return ending(done.returncode, done.stderr)
