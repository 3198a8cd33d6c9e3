"""The artifacts of one network that an ablation compares: each is compiled when it is asked for, once.

prepared = Variants(plan, "resnet50", work, step).prepare({"without": ("winograd",)})
prepared.kernels, prepared.digests
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.jobs import ARTIFACT_FOLDER
from ovenbird.benchmarking.preparing import LAYERS_FILE, PrepareRequest
from ovenbird.benchmarking.running import BenchPlan, plain_name
from ovenbird.benchmarking.worker_processes import run_preparing
from ovenbird.errors import UsageError
from ovenbird.process.progress import Progress


@dataclass(frozen=True)
class PreparedVariant:
    """One artifact with its inputs and answers in `folder`; `facts`: what `preparing` says of the network."""

    folder: Path
    facts: dict[str, Any]

    @functools.cached_property
    def _code(self) -> dict[str, dict[str, Any]]:
        """The manifest's records of code and weights."""
        path = Path(self.facts["artifact"]) / "manifest.json"
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {name: file for name, file in files.items() if name.endswith(".so") or name.startswith("weights/")}

    @property
    def digests(self) -> dict[str, str]:
        """Of code and weights: two builds with the same ones are the same."""
        return {name: file["sha256"] for name, file in self._code.items()}

    @property
    def bytes(self) -> int:
        """Of code and weights."""
        return sum(int(file["size"]) for file in self._code.values())

    @property
    def kernels(self) -> int:
        """How many kernels its code has."""
        path = self.folder / f"{ARTIFACT_FOLDER}.{LAYERS_FILE}"
        return len(json.loads(path.read_text(encoding="utf-8")))


class Variants:
    """What is compiled of one network."""

    def __init__(self, plan: BenchPlan, model: str, work: Path, step: Progress) -> None:
        """Compile nothing yet. Raises UsageError for an artifact, which is compiled already."""
        if (Path(model) / "manifest.json").is_file():
            raise UsageError(f"{model} is compiled already; --ablation compiles a network anew: name that")
        self._plan, self._model, self._work, self._step = plan, model, work, step
        self._found: dict[Path, PreparedVariant] = {}

    def prepare(self, changes: Mapping[str, Any]) -> PreparedVariant:
        """Return the network compiled with changed options. Raises any CompilerError."""
        said = [part for value in changes.values() for part in ([value] if isinstance(value, str) else value)]
        # a folder for each list of batch sizes: what is kept in one is compiled for all that were asked for there
        batches = "b" + ",".join(map(str, self._plan.batch_sizes))
        folder = self._work / "-".join((plain_name(self._model), batches, *changes, *said))
        if folder not in self._found:
            self._step(f"preparing {folder.name}")
            plan = self._plan
            options: dict[str, Any] = {
                "batch_sizes": plan.batch_sizes,
                "weights": plan.weights,
                "target": plan.target,
                "records": plan.records,
                "quiet": plan.quiet,
                "trust": plan.trust,
            }
            request = PrepareRequest(str(folder), self._model, onnx=False, **options | dict(changes))
            self._found[folder] = PreparedVariant(folder, run_preparing(request))
        return self._found[folder]
