"""Is the artifact the network? It runs in the real runtime, in a process of its own, beside the framework it came from.

    check = verify(Path("artifacts/resnet50"), network, batch_sizes=(1, 8), tolerance=1e-3)
    check.parity, check.golden_inputs, check.golden_outputs     # for the manifest, and for the target's `selftest`

The rule: for every output, max |compiled - framework| <= tolerance * max(1, max |framework|) over all cases. It is
absolute where outputs are small, as logits are, and relative where a network (one with random weights, say) gives large
numbers, since rounding errors grow with the numbers that are summed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.errors import VerificationFailed
from ovenbird.network import Arrays, Network
from ovenbird.runtime_process import run_artifact
from ovenbird_runtime.manifest import Parity

DEFAULT_TOLERANCE = 1e-3
RANDOM_SEED = 20_15
PARITY = "evidence/parity.json"
FIXED_CASES = 2
"""Random cases for a network whose batch size is fixed."""


@dataclass(frozen=True)
class Case:
    """Named inputs, and whether they are photographs."""

    name: str
    inputs: Arrays
    photographs: bool = False


@dataclass(frozen=True)
class Verification:
    """What was found: the manifest's figures, each output's own, and one case with its right answers."""

    parity: Parity
    outputs: dict[str, dict[str, float]]
    golden_inputs: Arrays
    golden_outputs: Arrays

    def parity_bytes(self, framework: str, verified: Sequence[str] = (), unverified: Sequence[str] = ()) -> bytes:
        """Give `evidence/parity.json`: the figures behind the manifest's, and the targets whose code gave them.

        `unverified`: targets whose code could not be run where the artifact was made.
        """
        told = {
            "framework": framework,
            "verified": list(verified),
            "not_verified": list(unverified),
            "rule": "max |compiled - framework| <= tolerance * max(1, max |framework|)",
            "tolerance": self.parity.tolerance,
            "images": self.parity.images,
            "random_inputs": self.parity.random_inputs,
            "top1_agreement": self.parity.top1_agreement,
            "outputs": self.outputs,
        }
        return (json.dumps(told, indent=2) + "\n").encode("utf-8")


def verify(
    artifact: Path,
    network: Network,
    batch_sizes: Sequence[int],
    tolerance: float,
    photographs: Sequence[Path] = (),
    target: str | None = None,
    device: str = "cpu",
) -> Verification:
    """Compare an artifact, or its variant for `target`, run on `device`, with its network.

    Raises VerificationFailed naming the output, RuntimeFailed.
    """
    cases = make_cases(network, batch_sizes, photographs)
    answers = run_artifact(artifact, {case.name: case.inputs for case in cases}, target=target, device=device)
    references = {case.name: network.reference(case.inputs) for case in cases}
    outputs: dict[str, dict[str, float]] = {}
    for spec in network.outputs:
        pairs = [(answers[case.name][spec.name], references[case.name][spec.name]) for case in cases]
        error = max(worst_error(found, right, spec.name) for found, right in pairs)
        scale = max(1.0, *(largest(right) for _, right in pairs))
        outputs[spec.name] = {"max_abs_error": rounded_up(error), "max_abs_reference": rounded_up(scale)}
        if not error <= tolerance * scale:
            raise VerificationFailed(
                f"output {spec.name} differs from {network.source.framework} by {error:.3g}, "
                f"limit {tolerance * scale:.3g} (--tolerance {tolerance:g} at outputs up to {scale:.3g})"
            )
    rows = {True: 0, False: 0}
    for case in cases:
        rows[case.photographs] += next(iter(references[case.name].values())).shape[0] if network.batched else 1
    parity = Parity(
        max_abs_error={name: figures["max_abs_error"] for name, figures in outputs.items()},
        tolerance=tolerance,
        top1_agreement=_top1_agreement(network, cases, answers, references),
        images=rows[True],
        random_inputs=rows[False],
    )
    return Verification(parity, outputs, *_golden(network, cases[0], references[cases[0].name]))


def make_cases(network: Network, batch_sizes: Sequence[int], photographs: Sequence[Path] = ()) -> list[Case]:
    """Give the cases: the photographs where the network eats images, then random rows for every compiled batch size."""
    cases = []
    image = network.image_input
    if image is not None and network.batched and network.default_pipeline is not None and photographs:
        from ovenbird.photographs import read_photographs

        pixels = read_photographs(photographs, network.pipelines[network.default_pipeline])
        cases.append(Case("photographs", {image.name: pixels}, photographs=True))
    random = np.random.default_rng(RANDOM_SEED)
    sizes = list(batch_sizes) if network.batched else [1] * FIXED_CASES
    for index, size in enumerate(sizes):
        examples = network.examples(size)
        cases.append(Case(f"random{index}", {name: random_like(array, random) for name, array in examples.items()}))
    return cases


def random_like(example: Any, random: np.random.Generator) -> Any:
    """Draw an array like `example`: whole numbers of its own (ids stay valid), others between two of its own.

    An example that is constant, or nearly, says nothing about its range: then the numbers are standard normal.
    """
    if example.size == 0:
        return example
    values = np.unique(example)
    if example.dtype.kind not in "f":
        return random.choice(values, size=example.shape).astype(example.dtype)
    if len(values) <= 2:
        return random.standard_normal(example.shape).astype(example.dtype)
    # not the values themselves: equal ones would let `topk` or `sort` answer in any order
    one, two = (random.choice(values, size=example.shape) for _ in range(2))
    return (one + random.random(example.shape) * (two - one)).astype(example.dtype)


def worst_error(found: Any, right: Any, name: str) -> float:
    """Give max |found - right|; NaN and infinity must stand in the same places. Raises VerificationFailed."""
    if found.shape != right.shape or found.dtype != right.dtype:
        raise VerificationFailed(
            f"output {name} is {found.dtype}{list(found.shape)}, expected {right.dtype}{list(right.shape)}"
        )
    if found.size == 0:
        return 0.0
    one, two = found.astype(np.float64), right.astype(np.float64)
    finite = np.isfinite(two)
    if not np.array_equal(finite, np.isfinite(one)) or not np.array_equal(one[~finite], two[~finite], equal_nan=True):
        raise VerificationFailed(f"output {name} is not finite where the framework's is, or the other way round")
    return float(np.max(np.abs(one[finite] - two[finite]), initial=0.0))


def largest(array: Any) -> float:
    """Give the largest finite magnitude in an array; 0 where there is none."""
    values = np.abs(array.astype(np.float64))
    return float(np.max(values[np.isfinite(values)], initial=0.0))


def rounded_up(value: float) -> float:
    """Round up to two significant digits: a bound that stays true, and does not show a machine's last bit."""
    if value == 0.0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / unit * (1 - 1e-12)) * unit:.2g}")


def _top1_agreement(
    network: Network, cases: list[Case], answers: dict[str, Arrays], references: dict[str, Arrays]
) -> float | None:
    """Give the share of photographs with the framework's most probable class; None where nothing is classified."""
    classified = [post.output for post in network.postprocess if post.kind == "classification"]
    shown = [case.name for case in cases if case.photographs]
    if not classified or not shown:
        return None
    same = [
        answers[case][output].argmax(axis=-1) == references[case][output].argmax(axis=-1)
        for case in shown
        for output in classified
    ]
    return float(np.concatenate(same).mean())


def _golden(network: Network, case: Case, reference: Arrays) -> tuple[Arrays, Arrays]:
    """Give one row of the first case and its right answers (the whole case where rows cannot be cut off)."""
    cut = {spec.name: spec.batched for spec in (*network.inputs, *network.outputs)}
    given = {name: array[:1] if cut[name] else array for name, array in case.inputs.items()}
    right = {name: array[:1] if cut[name] else array for name, array in reference.items()}
    return given, right
