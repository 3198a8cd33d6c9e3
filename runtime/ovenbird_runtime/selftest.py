"""Does the artifact do here what it did where it was compiled? Every file's digest, then the golden outputs.

selftest("artifacts/resnet50").max_abs_error        # {"logits": 1.1e-05, "embedding": 3e-06}
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .errors import SelftestFailed
from .golden import GOLDEN, read_golden
from .limits import MAX_GOLDEN_BYTES
from .model import load


@dataclass(frozen=True)
class Selftest:
    """What was checked, and how far the outputs are from the golden ones."""

    model: str
    target: str
    files: int
    rows: int
    max_abs_error: dict[str, float]
    tolerance: float


def selftest(
    path: str | os.PathLike[str],
    device: str = "cpu",
    threads: int | None = None,
    public_key: str | os.PathLike[str] | None = None,
    target: str | None = None,
) -> Selftest:
    """Check all files of the artifact, other variants' too, and reproduce its golden outputs.

    Raises SelftestFailed where an output is off by more than the manifest's tolerance, or where there is
    nothing to compare; and as `load` does.
    """
    import numpy as np

    with load(path, device, threads, public_key=public_key, target=target) as model:
        manifest, artifact = model.manifest, model.artifact
        artifact.verify(sorted(manifest.files))
        if GOLDEN not in manifest.files or manifest.parity is None:
            raise SelftestFailed(f"{manifest.model.name} holds no {GOLDEN} with a tolerance: compile it again with one")
        inputs, expected = read_golden(artifact.read(GOLDEN, MAX_GOLDEN_BYTES))
        given = model.run(inputs, nan="allow")
        errors: dict[str, float] = {}
        for name, array in given.items():
            if name not in expected or expected[name].shape != array.shape:
                raise SelftestFailed(f"{GOLDEN} has no {name} of shape {array.shape}: compile the artifact again")
            gap = np.abs(array.astype(np.float64) - expected[name].astype(np.float64))
            errors[name] = float(gap.max(initial=0.0))
            # the compiler's own rule: absolute up to 1, relative to the largest value above
            limit = manifest.parity.tolerance * max(
                1.0, float(np.abs(expected[name].astype(np.float64)).max(initial=0))
            )
            if not errors[name] <= limit:  # NaN fails as well
                raise SelftestFailed(
                    f"{name} is off by {errors[name]:.3g} from its golden values, limit {limit:.3g}: "
                    "this machine computes otherwise than the one that verified the artifact"
                )
        rows = max((array.shape[0] for array in inputs.values() if array.ndim), default=1)
        return Selftest(
            manifest.model.name, model.target.target, len(manifest.files), rows, errors, manifest.parity.tolerance
        )
