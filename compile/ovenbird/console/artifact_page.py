"""An artifact as one page that needs nothing else: what it is, where its time goes, how it was verified, who made it.

    Path("report.html").write_text(artifact_page(open_artifact(folder), profiles), encoding="utf-8")

Everything in it comes from an artifact that a stranger may have made; `ovenbird_runtime.console.html` escapes it. The
page loads nothing and runs no script.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ovenbird.artifact.layer_table import layers_of
from ovenbird.benchmarking.artifact_profile import VariantProfile
from ovenbird.console.layer_precisions import calibration_of, mixture_lines
from ovenbird.console.layers_page import layers_table, time_bar
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.artifact.inspection import inspect_artifact, weights_line
from ovenbird_runtime.console.html import Html, element, escaped, joined, table
from ovenbird_runtime.text import trust_lines

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:16px;color:#222;background:#fff}"
    "h1{margin:.2em 0}h2{margin:1.6em 0 .3em;border-bottom:1px solid #8885}table{font-size:13px}"
    "th{color:#777;font-weight:600}.wide{overflow-x:auto}.random{color:#c00;font-weight:bold}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th{color:#aaa}}"
)
"""The one thing that is not escaped but ours."""


def artifact_page(artifact: Artifact, profiles: Sequence[VariantProfile]) -> Html:
    """Return the whole page. Raises ArtifactError."""
    found = inspect_artifact(artifact.root)
    sections = [
        _heading(artifact, found),
        _tensors(found["programs"]),
        _variants(found["variants"]),
        *_layers(artifact, profiles),
        *_mixture(artifact),
        _parity(found["parity"]),
        _origin(found),
    ]
    title = element("title", f"{found['model']['name']}: an Ovenbird artifact")
    head = joined((
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'),
        title,
        Html(f"<style>{STYLE}</style>"),
    ))  # fmt: skip
    return Html(f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{joined(sections)}</body></html>\n')


def _section(title: str, *parts: object) -> Html:
    return element("section", element("h2", title), element("div", *parts, class_="wide"))


def _heading(artifact: Artifact, found: Mapping[str, Any]) -> Html:
    model = found["model"]
    facts = [
        ("version", model["version"]),
        ("licence", model["licence"]),
        ("files", f"{found['files']}, {found['bytes'] / 1e6:.1f} MB"),
        ("schema", found["schema_version"]),
    ]
    weights = element("p", weights_line(artifact.manifest), class_="random" if model["weights"]["random"] else "plain")
    return joined((element("h1", model["name"]), weights, table((), facts)))


def _tensors(programs: Mapping[str, Any]) -> Html:
    rows = [
        (name, kind[:-1], spec["name"], spec["dtype"], "x".join(map(str, spec["shape"])), spec["layout"])
        for name, program in programs.items()
        for kind in ("inputs", "outputs")
        for spec in program[kind]
    ]
    steps = [
        (name, pipeline, " → ".join(map(_step_text, made)))
        for name, program in programs.items()
        for pipeline, made in program["preprocess"]["pipelines"].items()
    ]
    answers = [
        (name, step["step"], step["output"]) for name, program in programs.items() for step in program["postprocess"]
    ]
    return _section(
        "Inputs and outputs",
        table(("program", "", "name", "type", "shape", "layout"), rows),
        table(("program", "pixels", "steps"), steps) if steps else "",
        table(("program", "answer", "of"), answers) if answers else "",
    )


def _step_text(step: Mapping[str, Any]) -> str:
    given = ", ".join(f"{name} {_short(value)}" for name, value in step.items() if name != "step" and value is not None)
    return f"{step['step']} ({given})" if given else str(step["step"])


def _short(value: Any) -> str:
    """Return a value of a step, numbers rounded, lists without brackets."""
    if isinstance(value, list):
        return (
            "x".join(map(_short, value)) if all(isinstance(one, int) for one in value) else " ".join(map(_short, value))
        )
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _variants(variants: Sequence[Mapping[str, Any]]) -> Html:
    heads = ("variant", "precision", "processor", "needs", "batch sizes", "code", "weights", "here")
    rows = []
    for one in variants:
        if "batches" not in one:
            rows.append((one["name"], one["precision"], "", "", "", "", "", one["reason"]))
            continue
        batches = "; ".join(
            (f"{name}: " if len(one["batches"]) > 1 else "") + ", ".join(map(str, sizes))
            for name, sizes in one["batches"].items()
        )
        needs, code = " ".join(one["cpu_features"]), f"{one['code_bytes'] / 1e6:.2f} MB"
        here = "runs" if one["runs_here"] else one["reason"]
        weights = f"{one['weight_bytes'] / 1e6:.1f} MB"
        rows.append(
            (one["name"], one["precision"], f"{one['kind']} {one['arch']}", needs, batches, code, weights, here)
        )
    return _section("Variants", table(heads, rows))


def _layers(artifact: Artifact, profiles: Sequence[VariantProfile]) -> Iterator[Html]:
    known = layers_of(artifact)
    of_variants = {variant.name: variant.precision for variant in artifact.manifest.variants}
    for profile in profiles:
        title = f"Layers of {profile.variant}"
        if not profile.rows or profile.limits is None:
            yield _section(title, element("p", f"Not timed: {profile.why_not}"))
            continue
        precision = of_variants[profile.variant]
        layers = known.get(profile.variant, {})
        exact = "f32" if precision == "int8" else precision
        by_layer = {
            name: "int8" if row["whole"] else exact for name, row in layers.items() if row["flops"] or row["whole"]
        }
        threads = f"{profile.threads} thread{'s' if profile.threads > 1 else ''}"
        limits = f"{profile.limits['gflops']:.0f} GFLOP/s and {profile.limits['gbytes_per_s']:.0f} GB/s"
        line = (
            f"{profile.ms:.2f} ms for a batch of {profile.batch} (program {profile.program}, {threads}); measured "
            f"limits of this machine: {limits}."
        )
        unnamed = element("p", "The artifact names no layers: compile it again to see kinds and shares of the limit.")
        yield _section(
            title,
            element("p", line),
            time_bar(profile.rows),
            "" if layers else unnamed,
            layers_table(profile.rows, by_layer),
        )


def _mixture(artifact: Artifact) -> Iterator[Html]:
    """Yield what `--precision auto` decided; each line is what a terminal shows."""
    lines = list(mixture_lines(calibration_of(artifact)))
    if lines:
        yield _section("Precision of each layer", element("pre", joined(Html(f"{escaped(line)}\n") for line in lines)))


def _parity(parity: Mapping[str, Any] | None) -> Html:
    if parity is None:
        return _section("Parity", element("p", "Not verified: no variant runs on the machine that compiled it."))
    rows = [
        (
            program,
            name,
            held["precision"],
            output,
            f"{one['rms']:.2e}",
            f"{held['limits']['rms']:.1e}",
            f"{one['peak']:.2e}",
        )
        for program, found in parity["programs"].items()
        for name, held in found["variants"].items()
        for output, one in held["outputs"].items()
    ]
    lines = [
        f"{program}: largest absolute error "
        + ", ".join(f"{output} {value:.2g}" for output, value in found["max_abs_error"].items())
        + ("" if found["top1_agreement"] is None else f"; equal top-1 {found['top1_agreement']:.1%}")
        for program, found in parity["programs"].items()
    ]
    heads = ("program", "variant", "precision", "output", "error over spread", "limit", "largest")
    on = f"Against the framework, on {parity['images']} photographs and {parity['random_inputs']} random inputs."
    return _section("Parity", element("p", on), *(element("p", line) for line in lines), table(heads, rows))


def _origin(found: Mapping[str, Any]) -> Html:
    lines = trust_lines(found["digest"], found["signatures"], found["signed_by"], found["provenance"])
    return _section("Provenance", table((), [(line[:8].strip(), line[9:]) for line in lines]))
