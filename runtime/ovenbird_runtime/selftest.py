"""Does the artifact do here what it did where it was compiled? Every file's digest, then the golden outputs.

selftest("artifacts/resnet50").max_abs_error        # {"logits": 1.1e-05, "embedding": 3e-06}
golden_of(model)[0].reproduce(model)                # the second half, as the server does it
"""

from __future__ import annotations

import os

from .artifact.golden import golden_file, read_golden
from .dataclass import dataclass
from .errors import SelftestFailed
from .limits import MAX_GOLDEN_BYTES
from .manifest.agreement import Difference, Limits, Precision, join_rows
from .manifest.candidates import aligned, compare_output
from .manifest.program import InputSize, Program, size_text
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
    """Golden inputs of one program at one image size, the right answers to them, and what its code is held to."""

    program: str
    size: InputSize
    inputs: Arrays
    outputs: Arrays
    limits: Limits

    def reproduce(self, model: Model) -> dict[str, Difference]:
        """Run the golden inputs and compare every output. Raises SelftestFailed, InputError, EngineError."""
        program, file = model.programs[self.program].at(self.size), golden_file(self.program, self.size)
        count = self._cases(program)
        cases = [{name: self.inputs[name][case] for name in self.inputs} for case in range(count)]
        answers = [model.run(case, nan="allow", program=self.program) for case in cases or [dict(self.inputs)]]
        found, given, right = {}, {}, {}
        for spec in program.outputs:
            if spec.name not in self.outputs:
                raise SelftestFailed(f"{file} has no {spec.name}: compile the artifact again")
            golden = self.outputs[spec.name]
            right[spec.name] = golden if program.batched or cases else golden[None]
            given[spec.name] = join_rows([answer[spec.name] for answer in answers], program.batched)
        given = aligned(program.postprocess, given, right, self.limits)
        for spec in program.outputs:
            difference = compare_output(program.postprocess, spec.name, given[spec.name], right[spec.name], self.limits)
            if difference.fault:
                where = f" at {size_text(self.size)}" if self.size else ""
                raise SelftestFailed(
                    f"{spec.name}{where} {difference.fault}: this machine computes otherwise than the one that "
                    "verified the artifact"
                )
            found[spec.name] = difference
        return found

    def _cases(self, program: Program) -> int:
        """Count the cases along the axis that golden inputs have more than those of a network without a batch.

        0 where they have none, as those of a network with a batch and of artifacts made before.
        """
        ranks = {spec.name: len(spec.shape) for spec in program.inputs}
        if program.batched or self.inputs.keys() != ranks.keys():
            return 0
        counts = {len(array) if array.ndim > ranks[name] else 0 for name, array in self.inputs.items()}
        return counts.pop() if len(counts) == 1 else 0


def golden_of(model: Model) -> tuple[Golden, ...]:
    """Read what a model's artifact holds for each program and image size; nothing where there is nothing to compare
    with. Raises FileChanged.
    """
    parity, found = model.manifest.parity, []
    for name, program in model.programs.items():
        for size in program.image_sizes:
            file = golden_file(name, size)
            if parity is not None and file in model.manifest.files:
                limits = parity.limits_for(model.target.variant, model.target.precision, name)
                tensors = read_golden(model.artifact.read(file, MAX_GOLDEN_BYTES), file)
                found.append(Golden(name, size, *tensors, limits))
    return tuple(found)


def selftest(
    path: str | os.PathLike[str],
    device: str = "cpu",
    threads: int | None = None,
    public_key: str | os.PathLike[str] | None = None,
    target: str | None = None,
    precision: Precision | None = None,
) -> Selftest:
    """Check all files of the artifact, other variants' too, and reproduce its golden outputs.

    Raises SelftestFailed where an output is off by more than the manifest's limits, or where there is
    nothing to compare; and as `load` does.
    """
    with load(path, device, threads, public_key=public_key, target=target, precision=precision) as model:
        manifest = model.manifest
        model.artifact.verify(sorted(manifest.files))
        golden = golden_of(model)
        missing = {golden_file(name, size) for name, one in manifest.programs.items() for size in one.image_sizes} - {
            golden_file(one.program, one.size) for one in golden
        }
        if missing:
            raise SelftestFailed(
                f"{manifest.model.name} holds no {min(missing)} with a tolerance: compile it again with one"
            )
        found: dict[str, Difference] = {}
        for one in golden:
            for output, difference in one.reproduce(model).items():
                name = output if len(manifest.programs) == 1 else f"{one.program}.{output}"
                if name not in found or difference.rms >= found[name].rms:
                    found[name] = difference
        return Selftest(
            model=manifest.model.name,
            target=model.target.target,
            files=len(manifest.files),
            rows=sum(max((a.shape[0] for a in one.inputs.values() if a.ndim), default=1) for one in golden),
            max_abs_error={name: difference.max_abs for name, difference in found.items()},
            tolerance=max(one.limits.rms for one in golden),
            rms={name: difference.rms for name, difference in found.items()},
            peak={name: difference.peak for name, difference in found.items()},
        )
