"""Results as lines for people, and rows of answers as JSON.

tabby 61.2 %, tiger cat 20.1 %
embedding: mean 0.41337, variance 0.17411
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import OvenbirdError, one_line
from .manifest.program import size_text
from .postprocess.table import KINDS

if TYPE_CHECKING:
    from .bench import Timing
    from .postprocess.prediction import Prediction


def prediction_lines(prediction: Prediction) -> list[str]:
    """Return an image's classes and statistics."""
    lines = [f"{prediction.model}: RANDOM WEIGHTS, the answer means nothing"] if prediction.weights.random else []
    for kind in KINDS.values():
        for name, answer in prediction.answers.get(kind.field, {}).items():
            lines += kind.lines(name, answer)
    return lines


def answer_lines(images: Sequence[str], predictions: Mapping[int, Prediction]) -> list[str]:
    """Return what was found of each image that has an answer, by the images' places."""
    lines: list[str] = []
    for place, prediction in sorted(predictions.items()):
        lines += [one_line(images[place]), *(f"  {line}" for line in prediction_lines(prediction))]
    return lines


def answer_rows(
    images: Sequence[str], predictions: Mapping[int, Prediction], failures: Mapping[int, OvenbirdError], target: str
) -> list[dict[str, Any]]:
    """Return a JSON object for each image: its answer, or the error and its type where it has none."""

    def row(place: int) -> dict[str, Any]:
        if place in predictions:
            return predictions[place].to_json()
        return {"error": str(failures[place]), "type": type(failures[place]).__name__}

    return [{"image": image, "target": target} | row(place) for place, image in enumerate(images)]


def inspection_lines(found: dict[str, Any]) -> list[str]:
    """Return what `inspect_artifact` found."""
    model, weights = found["model"], found["model"]["weights"]
    origin = f"RANDOM (seed {weights['seed']})" if weights["random"] else f"{weights['origin']} {weights['detail']}"
    lines = [
        f"model    {model['name']} {one_line(model['version'])}, licence {one_line(model['licence'])}",
        f"weights  {one_line(origin)}",
        f"files    {found['files']}, {found['bytes'] / 1e6:.1f} MB",
        *trust_lines(found["digest"], found["signatures"], found["signed_by"], found["provenance"]),
    ]
    for name, program in found["programs"].items():
        if len(found["programs"]) > 1:
            lines.append(f"program  {name}")
        lines += _program_lines(program)
    if found["parity"] is not None:
        several = len(found["parity"]["programs"]) > 1
        for name, parity in found["parity"]["programs"].items():
            errors = ", ".join(f"{name} {value:.2g}" for name, value in parity["max_abs_error"].items())
            agreement = parity["top1_agreement"]
            lines.append(
                f"parity   {f'{name}: ' if several else ''}max abs error {errors}"
                + ("" if agreement is None else f", top-1 agreement {100 * agreement:.1f} %")
            )
    for variant in found["variants"]:
        lines += _variant_lines(variant, variant["name"] == found["chosen"])
    return [one_line(line) for line in lines]


def _program_lines(program: dict[str, Any]) -> list[str]:
    lines = [
        f"{kind[:-1]:8} {spec['name']} {spec['dtype']} {_shape(spec['shape'])} {spec['layout']}".rstrip()
        for kind in ("inputs", "outputs")
        for spec in program[kind]
    ]
    default = program["preprocess"]["default"]
    names = [name + (" (default)" if name == default else "") for name in program["preprocess"]["pipelines"]]
    sizes = [size_text(one["size"]) for one in program["sizes"]]
    if sizes:
        lines.append(f"sizes    {', '.join(sizes)} (height x width)")
    answers = [f"answer   {_answer_text(step)}" for step in program["postprocess"]]
    return [*lines, "pipeline " + (", ".join(names) or "none"), *answers]


def _answer_text(step: dict[str, Any]) -> str:
    """Return what a step answers with, and of which outputs."""
    names = [step["output"], *(step[name] for name in ("scores", "classes", "masks", "keypoints") if step.get(name))]
    text = f"{step['step']} of {', '.join(names)}"
    if step["step"] == "boxes":
        text += f": score {step['score']:g}, iou {step['iou']:g}, at most {step['max_boxes']}"
    return text


def trust_lines(
    digest: str, signatures: Sequence[str], signed_by: str | None, provenance: Mapping[str, Any] | None
) -> list[str]:
    """Return the digest, who signed it, and where it comes from."""
    if signed_by is not None:
        signed = f"by {signed_by}, checked"
    elif signatures:
        signed = f"by {', '.join(signatures)}, not checked (--require-signature KEY.pub)"
    else:
        signed = "no"
    lines = [f"digest   {digest}", f"signed   {signed}"]
    if provenance is not None:
        versions = ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
        commit = provenance["commit"]
        changed = " and changes that were not committed" if provenance["modified"] else ""
        lines.append(f"made by  {versions}" + (f"; commit {commit[:12]}{changed}" if commit else ""))
    return lines


def _variant_lines(variant: dict[str, Any], chosen: bool) -> list[str]:
    state = "runs here, chosen" if chosen else "runs here" if variant["runs_here"] else variant["reason"]
    lines = [f"target   {variant['name']}: " + state]
    if "batches" in variant:
        several = len(variant["batches"]) > 1
        batches = ", ".join(
            f"{name + ' ' if several else ''}batch {batch}"
            for name, sizes in variant["batches"].items()
            for batch in sizes
        )
        sizes = f"code {variant['code_bytes'] / 1e6:.2f} MB, weights {variant['weight_bytes'] / 1e6:.1f} MB"
        lines.append(f"         {variant['kind']} {variant['arch']}, {variant['precision']}, {batches}, {sizes}")
        lines.append(f"         plan {_plan_text(variant.get('plan'))}")
    return lines


def _plan_text(entries: list[dict[str, Any]] | None) -> str:
    """Return what each planned entry calls, and the memory for that."""
    if not entries:
        return "none: runs on TVM's virtual machine alone"
    return ", ".join(
        f"{entry['program']} batch {entry['batch']}"
        + (f" {size_text(entry['size'])}" if entry["size"] else "")
        + f": {entry['calls']} calls, arena {entry['arena_bytes'] / 1e6:.2f} MB"
        for entry in entries
    )


def _shape(shape: list[int | str]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def timing_line(timing: Timing) -> str:
    """Return one batch size's times."""
    size = f"{size_text(timing.size)}, " if timing.size else ""
    return (
        f"{size}batch {timing.batch}: min {timing.min_ms:.3f}, median {timing.median_ms:.3f}, "
        f"p90 {timing.p90_ms:.3f}, {timing.images_per_second:.1f} images/s, {timing.calls} calls"
    )
