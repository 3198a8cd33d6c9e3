"""Do all engines compute the same? Otherwise their times are not compared.

expected = Expected.read(folder, batch=1)               # what `preparing` wrote of the network
worst = expected.check("ort", outputs)                  # root mean square of errors, as a share of the output's spread

The rule and its limits are those of `compile` (`ovenbird_runtime.manifest.agreement`), by the precision of all engines;
a detector's candidates are paired with the right ones first, as `compile` does it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.benchmarking.jobs import NETWORK_FILE, reference_file
from ovenbird.errors import OutputsDisagree
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.manifest.agreement import LIMITS, Precision
from ovenbird_runtime.manifest.answers import AnswerStep
from ovenbird_runtime.manifest.candidates import aligned, compare_output
from ovenbird_runtime.tensors.arrays import Arrays


@dataclass(frozen=True)
class Expected:
    """What engines are held to: the framework's answers, in which precision, and how they are read."""

    answers: Arrays
    precision: Precision = "f32"
    steps: tuple[AnswerStep, ...] = ()

    @staticmethod
    def read(folder: Path, batch: int) -> Expected:
        """Read what was prepared in a folder."""
        with np.load(reference_file(folder, batch), allow_pickle=False) as archive:
            answers = {name: archive[name] for name in archive.files}
        facts = json.loads((folder / NETWORK_FILE).read_text(encoding="utf-8"))
        return Expected(answers, facts["precision"], open_artifact(Path(facts["artifact"])).manifest.postprocess)

    def check(self, engine: str, outputs: Mapping[str, Any]) -> float:
        """Compare outputs by position; return the largest `rms` of them. Raises OutputsDisagree."""
        if len(outputs) != len(self.answers):
            raise OutputsDisagree(f"{engine} gives {len(outputs)} outputs, the network has {len(self.answers)}")
        # engines may give whole numbers of another width, and call outputs otherwise
        pairs = zip(self.answers.items(), outputs.values(), strict=True)
        found = {name: given.astype(right.dtype) for (name, right), given in pairs}
        limits, worst = LIMITS[self.precision], 0.0
        found = aligned(self.steps, found, self.answers, limits)
        for name, right in self.answers.items():
            difference = compare_output(self.steps, name, found[name], right, limits)
            if difference.fault:
                raise OutputsDisagree(
                    f"{engine} differs from the network: {name} {difference.fault}; its time is no time"
                )
            worst = max(worst, difference.rms)
        return worst
