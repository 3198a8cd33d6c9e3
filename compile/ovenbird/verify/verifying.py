"""Is the artifact the network? It runs in the real runtime, in its own process, against the framework it came from.

    found = verify(Path("artifacts/resnet50"), network, (1, 8), LIMITS["f32"])
    found.outputs["logits"].rms, found.golden[()].outputs
    verify_programs(folder, {"encode": one, "step": other}, {"encode": (1,), "step": (1, 4)}, LIMITS["f32"])

What the manifest says of it is written by `parity.py`. How answers are judged is `ovenbird_runtime.manifest.agreement`,
which `selftest` and the server use as well; on which inputs is `cases.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ovenbird.errors import VerificationFailed
from ovenbird.networks.network import ArrayForm, Network
from ovenbird.verify.agreeing import Agreement, agreement_of
from ovenbird.verify.cases import Case, Pick, choose_golden, enough, make_cases, picked, take
from ovenbird.verify.reached import TOKENS, Reached
from ovenbird.verify.references import References, closer_answers
from ovenbird.verify.runtime_process import artifact_running
from ovenbird.verify.stored import Answers, Joined, form_of
from ovenbird.verify.texts import TokenAgreement
from ovenbird.verify.texts import agreement_of as agreement_of_texts
from ovenbird_runtime.manifest.agreement import LIMITS, Difference, Limits
from ovenbird_runtime.manifest.candidates import aligned, boxes_agreeing, compare_output
from ovenbird_runtime.manifest.manifest import MAIN, Boxes, Classification, TensorSpec
from ovenbird_runtime.manifest.program import InputSize, size_text
from ovenbird_runtime.tensors.arrays import Arrays

NEAR = 4.0
"""Answers that are off by more than so many limits are wrong, whatever computed the right ones."""


@dataclass(frozen=True)
class GoldenTensors:
    """Some of the inputs, and the right answers to them."""

    inputs: Arrays
    outputs: Arrays


@dataclass(frozen=True)
class Verification:
    """What was found: how far each output is at most, on how many inputs of all sizes, and some of them."""

    limits: Limits
    outputs: dict[str, Difference]
    top1_agreement: float | None
    images: int
    random_inputs: int
    golden: dict[InputSize, GoldenTensors]
    """By image size."""
    boxes: tuple[int, int] | None = None
    """A detector's boxes above its own score, and how many of them the artifact gives, too."""
    agreement: Agreement | None = None
    """At the image size where fewest answers agree."""
    in_float64: bool = False
    """Whether the right answers were computed in float64, as float32's own rounding came near the limits."""
    texts: TokenAgreement | None = None
    """Of a loop's step in low precision: how far the texts of the whole model are those of its framework."""

    @property
    def blind(self) -> list[str]:
        """The outputs whose right answers are the same for all inputs."""
        return [name for name, found in self.outputs.items() if found.blind]


def verify_programs(
    artifact: Path,
    networks: Mapping[str, Network],
    batch_sizes: Mapping[str, Sequence[int]],
    limits: Limits,
    photographs: Sequence[Path] = (),
    target: str | None = None,
    device: str = "cpu",
    counting: bool = False,
    references: References | None = None,
    reached: Reached | None = None,
) -> dict[str, Verification]:
    """Verify every program of an artifact, each with the network of its name; `counting`: how many answers agree, too.
    `references`: what the networks were asked before. `reached`: rows to verify the programs of a loop on, and texts
    to compare.

    Raises VerificationFailed naming the program, where there are several, and the output; RuntimeFailed.
    """
    found = {}
    for program, network in networks.items():
        try:
            options = (photographs, target, device, program, counting, references)
            cases = reached.cases(program, batch_sizes[program]) if reached and program in reached.rows else None
            found[program] = verify(artifact, network, batch_sizes[program], limits, *options, cases)
        except VerificationFailed as error:
            raise (VerificationFailed(f"program {program}: {error}") if len(networks) > 1 else error) from None
    if reached is not None and counting:
        found[reached.loop.step] = replace(found[reached.loop.step], texts=texts_of(artifact, reached, target, device))
    return found


def texts_of(artifact: Path, reached: Reached, target: str | None, device: str) -> TokenAgreement:
    """Let an artifact write the texts of pictures, and compare them with the framework's. Raises RuntimeFailed."""
    cases = {f"picture{index}": {"pixels": picture} for index, picture in enumerate(reached.pictures)}
    with artifact_running(artifact, cases, target=target, device=device, tokens=TOKENS) as ended:
        answers = ended()
    texts = [answers[case]["tokens"].tolist() for case in cases]
    return agreement_of_texts(texts, reached.texts, len(reached.loop.begin))


def verify(
    artifact: Path,
    network: Network,
    batch_sizes: Sequence[int],
    limits: Limits,
    photographs: Sequence[Path] = (),
    target: str | None = None,
    device: str = "cpu",
    program: str = MAIN,
    counting: bool = False,
    references: References | None = None,
    given_cases: list[Case] | None = None,
) -> Verification:
    """Compare a program of an artifact, or of its variant for `target`, run on `device`, with its network.

    The framework and the artifact work at the same time: of a segmenter's compile each takes a minute.
    `counting`: also how many answers agree, which code of low precision is judged by. `given_cases`: what to compare
    on, of a program of one image size.

    Raises VerificationFailed naming the output, RuntimeFailed.
    """
    shown = photographs if counting else enough(network, photographs)
    cases = {size: given_cases or make_cases(network.at(size), batch_sizes, shown) for size in network.image_sizes}
    given = {f"{size_text(size)}.{case.name}": case.inputs for size, some in cases.items() for case in some}
    known = references or References()
    with artifact_running(artifact, given, target=target, device=device, program=program) as ended:
        right = {size: known.right_answers(network.at(size), some) for size, some in cases.items()}
        answers = ended()
    found = []
    for size, some in cases.items():
        own = {case.name: answers[f"{size_text(size)}.{case.name}"] for case in some}
        try:
            found.append(verify_size(network.at(size), size, some, own, right[size], limits, counting))
        except VerificationFailed as error:
            raise (VerificationFailed(f"at {size_text(size)}: {error}") if size else error) from None
    return worst(found)


def worst(found: Sequence[Verification]) -> Verification:
    """Return what was found at several image sizes as one: the largest differences, and all inputs."""
    tops = [one.top1_agreement for one in found if one.top1_agreement is not None]
    return Verification(
        found[0].limits,
        {name: largest([one.outputs[name] for one in found]) for name in found[0].outputs},
        min(tops) if tops else None,
        sum(one.images for one in found),
        sum(one.random_inputs for one in found),
        {size: golden for one in found for size, golden in one.golden.items()},
        _summed([one.boxes for one in found if one.boxes is not None]),
        min((one.agreement for one in found if one.agreement is not None), key=_agreeing, default=None),
        any(one.in_float64 for one in found),
    )


def _agreeing(found: Agreement) -> float:
    return 1.0 if found.top1 is None else found.top1


def _summed(counts: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    return (sum(count for count, _ in counts), sum(same for _, same in counts)) if counts else None


def largest(found: Sequence[Difference]) -> Difference:
    """Return differences of one output as one: the largest of each figure."""
    figures = ("max_abs", "rms", "peak", "mismatches")
    return replace(
        found[0],
        **{name: max(getattr(one, name) for one in found) for name in figures},
        dependence=min(one.dependence for one in found),
        blind=any(one.blind for one in found),
    )


def verify_size(
    network: Network,
    size: InputSize,
    cases: list[Case],
    answers: Answers,
    references: Answers,
    limits: Limits,
    counting: bool,
) -> Verification:
    """Judge the answers to the cases of one image size by the framework's."""
    unordered, in_float64 = answers, False
    answers, boxes = _laid_beside(network, unordered, references, limits)
    try:
        outputs = judge(network, answers, references, limits)
    except VerificationFailed:
        closer = _closer_answers(network, cases, answers, references, limits)
        if closer is None:
            raise
        references, in_float64 = closer, True
        answers, boxes = _laid_beside(network, unordered, references, limits)
        outputs = judge(network, answers, references, limits)
    rows = {True: 0, False: 0}
    for case in cases:
        rows[case.photographs] += (
            form_of(references[case.name], network.outputs[0].name)[0][0] if network.batched else 1
        )
    top1 = _top1_agreement(network, cases, answers, references)
    picks = choose_golden(network, cases, references)
    if not all(_agree(network, spec, picks, answers, references, limits) for spec in network.outputs):
        picks = picks[:1]  # two rows spread less than all: what `selftest` is given, it must be able to reproduce
    golden = {spec.name: take(network, spec, picks, references) for spec in network.outputs}
    inputs = {case.name: case.inputs for case in cases}
    given = {spec.name: take(network, spec, picks, inputs) for spec in network.inputs}
    agreement = agreement_of(network, cases, answers, references) if counting else None
    tensors = {size: GoldenTensors(given, golden)}
    return Verification(limits, outputs, top1, rows[True], rows[False], tensors, boxes, agreement, in_float64)


def _closer_answers(
    network: Network, cases: list[Case], answers: Answers, references: Answers, limits: Limits
) -> Answers | None:
    """Return the framework's answers in float64 where float32's own rounding may be what the answers differ by.

    They are closer to the truth, and hold by the same limits. None where answers are far off, or nothing is closer.
    """
    if limits.rms > LIMITS["f32"].rms:
        return None
    try:
        judge(network, answers, references, limits.loosened(NEAR))
    except VerificationFailed:
        return None
    return closer_answers(network, cases)


def _agree(
    network: Network, spec: TensorSpec, picks: Sequence[Pick], answers: Answers, references: Answers, limits: Limits
) -> bool:
    """Return whether the picked rows of an output agree by themselves."""
    given, right = (picked(network, spec, picks, some) for some in (answers, references))
    return not compare_output(network.postprocess, spec.name, given, right, limits).fault


def _laid_beside(
    network: Network, answers: Answers, references: Answers, limits: Limits
) -> tuple[Answers, tuple[int, int] | None]:
    """Return a detector's answers in the order of the references, and how many boxes there are and agree; None for
    what is no detector.
    """
    if not network.batched or not any(isinstance(step, Boxes) for step in network.postprocess):
        return answers, None
    found = {
        case: aligned(network.postprocess, dict(answers[case]), dict(right), limits)
        for case, right in references.items()
    }
    counts = [
        boxes_agreeing(network.postprocess, found[case], dict(right))
        for case, right in references.items()
        if all(form_of(found[case], name) == form_of(right, name) for name in right)
    ]
    return found, _summed(counts)


def judge(network: Network, answers: Answers, references: Answers, limits: Limits) -> dict[str, Difference]:
    """Compare the answers to all cases, output by output. Raises VerificationFailed naming the first that differs."""
    outputs = {}
    for spec in network.outputs:
        pairs = ((form_of(answers[case], spec.name), form_of(right, spec.name)) for case, right in references.items())
        # case by case first: arrays of other shapes could not be joined
        fault = next((fault for pair in pairs if (fault := check_form(*pair))), "")
        if not fault:
            given, right = (
                Joined.of([some[case] for case in references], spec.name, network.batched)
                for some in (answers, references)
            )
            found = compare_output(network.postprocess, spec.name, given, right, limits)
            outputs[spec.name], fault = rounded(found), found.fault
        if fault:
            loosen = "; --tolerance loosens the limit" if "spread" in fault else ""
            raise VerificationFailed(f"output {spec.name} {fault} (compared with {network.source.framework}{loosen})")
    return outputs


def check_form(given: ArrayForm, right: ArrayForm) -> str:
    """Return what is wrong with an array's shape or dtype; nothing where they are right."""
    return "" if given == right else f"is {given[1]}{list(given[0])}, expected {right[1]}{list(right[0])}"


def rounded(found: Difference) -> Difference:
    """Round all figures up."""
    return replace(
        found,
        max_abs=rounded_up(found.max_abs),
        rms=rounded_up(found.rms),
        peak=rounded_up(found.peak),
        dependence=rounded_up(found.dependence),
        mismatches=rounded_up(found.mismatches),
    )


def rounded_up(value: float) -> float:
    """Round up to two significant digits: a bound that stays true, and does not show a machine's last bit."""
    if value == 0.0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / unit * (1 - 1e-12)) * unit:.2g}")


def _top1_agreement(network: Network, cases: list[Case], answers: Answers, references: Answers) -> float | None:
    """Return the share of photographs with the framework's most probable class; None where nothing is classified."""
    classified = [post.output for post in network.postprocess if isinstance(post, Classification)]
    shown = [case.name for case in cases if case.photographs]
    if not classified or not shown:
        return None
    same = [
        answers[case][output].argmax(axis=-1) == references[case][output].argmax(axis=-1)
        for case in shown
        for output in classified
    ]
    return float(np.concatenate(same).mean())
