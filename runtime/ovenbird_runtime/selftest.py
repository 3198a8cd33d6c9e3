"""Does the artifact do here what it did where it was compiled? Every file's digest, then the golden outputs.

selftest("artifacts/resnet50").max_abs_error        # {"logits": 1.1e-05, "embedding": 3e-06}
Golden.of(model).reproduce(model)                   # the second half, as the server does it
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .artifact.golden import GOLDEN, read_golden
from .errors import SelftestFailed
from .limits import MAX_GOLDEN_BYTES
from .manifest.agreement import Difference, Limits, compare, join_rows
from .model import Model, load
from .tensors.arrays import Arrays


@dataclass(frozen=True)
class Selftest:
    """What was checked, and how far the outputs are from the golden ones: absolute, and by the rule of `agreement`."""

    model: str
    target: str
    files: int
    rows: int
    max_abs_error: dict[str, float]
    tolerance: float
    rms: dict[str, float]
    peak: dict[str, float]


@dataclass(frozen=True)
class Golden:
    """An artifact's golden inputs, the right answers to them, and what its code is held to."""

    inputs: Arrays
    outputs: Arrays
    limits: Limits

    @classmethod
    def of(cls, model: Model) -> Golden | None:
        """Read what a model's artifact holds; None where there is nothing to compare with. Raises FileChanged."""
        parity = model.manifest.parity
        if GOLDEN not in model.manifest.files or parity is None:
            return None
        limits = parity.limits_for(model.target.variant, model.target.precision)
        return cls(*read_golden(model.artifact.read(GOLDEN, MAX_GOLDEN_BYTES)), limits)

    def reproduce(self, model: Model) -> dict[str, Difference]:
        """Run the golden inputs and compare every output. Raises SelftestFailed, InputError, EngineError."""
        batched, count = any(spec.batched for spec in model.inputs), self._cases(model)
        cases = [{name: self.inputs[name][case] for name in self.inputs} for case in range(count)]
        answers = [model.run(case, nan="allow") for case in cases or [dict(self.inputs)]]
        found = {}
        for spec in model.outputs:
            right = self.outputs.get(spec.name)
            if right is None:
                raise SelftestFailed(f"{GOLDEN} has no {spec.name}: compile the artifact again")
            given = join_rows([answer[spec.name] for answer in answers], batched)
            difference = compare(given, right if batched or cases else right[None], self.limits)
            if difference.fault:
                raise SelftestFailed(
                    f"{spec.name} {difference.fault}: this machine computes otherwise than the one that verified "
                    "the artifact"
                )
            found[spec.name] = difference
        return found

    def _cases(self, model: Model) -> int:
        """Count the cases along the axis that golden inputs have more than those of a network without a batch.

        0 where they have none, as those of a network with a batch and of artifacts made before.
        """
        ranks = {spec.name: len(spec.shape) for spec in model.inputs}
        if any(spec.batched for spec in model.inputs) or self.inputs.keys() != ranks.keys():
            return 0
        counts = {len(array) if array.ndim > ranks[name] else 0 for name, array in self.inputs.items()}
        return counts.pop() if len(counts) == 1 else 0


def selftest(
    path: str | os.PathLike[str],
    device: str = "cpu",
    threads: int | None = None,
    public_key: str | os.PathLike[str] | None = None,
    target: str | None = None,
) -> Selftest:
    """Check all files of the artifact, other variants' too, and reproduce its golden outputs.

    Raises SelftestFailed where an output is off by more than the manifest's limits, or where there is
    nothing to compare; and as `load` does.
    """
    with load(path, device, threads, public_key=public_key, target=target) as model:
        manifest = model.manifest
        model.artifact.verify(sorted(manifest.files))
        golden = Golden.of(model)
        if golden is None:
            raise SelftestFailed(f"{manifest.model.name} holds no {GOLDEN} with a tolerance: compile it again with one")
        found = golden.reproduce(model)
        return Selftest(
            model=manifest.model.name,
            target=model.target.target,
            files=len(manifest.files),
            rows=max((array.shape[0] for array in golden.inputs.values() if array.ndim), default=1),
            max_abs_error={name: difference.max_abs for name, difference in found.items()},
            tolerance=golden.limits.rms,
            rms={name: difference.rms for name, difference in found.items()},
            peak={name: difference.peak for name, difference in found.items()},
        )
