"""`ovenbird compile`: from a network to an artifact, verified.

ovenbird compile resnet50 --target host -o artifacts/resnet50
ovenbird compile mynets:detector --batch-sizes 1 --name detector      # into artifacts/detector
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ovenbird.console import shared_options

if TYPE_CHECKING:
    from ovenbird.artifact.report import CompileReport
    from ovenbird_runtime.manifest.manifest import ProgramParity


@click.command("compile", short_help="Compile a network into an artifact.")
@click.argument("model")
@click.option("--target", "targets", multiple=True, default=("host",), show_default=True, help="May be repeated.")
@shared_options.network_options
@shared_options.processing_options
@shared_options.name
@shared_options.batch_sizes("1,8", "Batch sizes with code of their own.")
@click.option("--tuning-records", metavar="DIR|none", help="Tuning records to use. [default: those in tuning_logs/]")
@shared_options.tolerance("by precision: 0.0001 in f32, 0.04 in f16, 0.3 in int8")
@shared_options.precision
@shared_options.calibration
@click.option("--fast-math", is_flag=True, help="Let GPU code approximate division, exp and others.")
@click.option("--dump-code", metavar="KINDS", help="Write relax,tir,ll,asm,cu next to the output, in DIR.code/.")
@click.option("-o", "--output", "--output-dir", type=click.Path(path_type=Path),
              help="The artifact's folder. [default: artifacts/NAME]")  # fmt: skip
@shared_options.quiet
@shared_options.as_json
def command(model: str, output: Path | None, **options: Any) -> None:
    """Compile MODEL for each target, verify it against its framework, and write the artifact's folder.

    MODEL is a built-in name (`ovenbird models`), module:callable, path/file.py:callable, either with arguments as in
    "mynets:build(size=320)", a .pt2 file, an .onnx file or darknet's .cfg. Where anything fails, the folder is left as
    it was.
    """
    from ovenbird.process.children import let_waiting_threads_sleep

    let_waiting_threads_sleep()
    from ovenbird.api.request import CompileRequest
    from ovenbird.backends.precisions import parse_precisions
    from ovenbird.lowering.dumping import parse_kinds
    from ovenbird.options import DEFAULT_DISAGREEMENT, CalibrationOptions, CompileOptions
    from ovenbird.process.progress import Progress

    network_options = shared_options.read_network_options(options)
    precisions, mixed = parse_precisions(options["precision"])
    most = shared_options.parse_share("--max-disagreement", options["max_disagreement"])
    if mixed and most is None:
        most = DEFAULT_DISAGREEMENT
    compile_options = CompileOptions(
        targets=tuple(options["targets"]),
        batch_sizes=shared_options.parse_batches(options["batch_sizes"]),
        tuning_records=options["tuning_records"],
        tolerance=options["tolerance"],
        dump=parse_kinds(options["dump_code"]),
        precisions=precisions,
        fast_math=options["fast_math"],
        calibration=CalibrationOptions(
            options["calibrate"],
            options["calibration_size"],
            options["calibration_method"],
            most if mixed else None,
            options["quantizer"],
            shared_options.parse_names(options["int8_programs"]),
        ),
        max_disagreement=most,
    )
    request = CompileRequest(model, output, network_options, compile_options)
    for note in request.check():
        click.echo(note, err=True)
    with Progress.choose(options["quiet"]) as progress:
        report = request.carry_out(progress)
    if options["as_json"]:
        _print_json(report)
    else:
        _print_report(report)


def _print_json(report: CompileReport) -> None:
    import json

    from ovenbird_runtime.manifest.schema import encode

    document = {
        "output": str(report.output),
        "size_bytes": report.size_bytes,
        "weights_bytes": report.weights_bytes,
        "model": encode(report.manifest.model),
        "parity": encode(report.parity) if report.parity else None,
        "verified": list(report.verified),
        "unverified": report.unverified,
        "tuning": report.manifest.tuning,
        "unplanned": report.unplanned,
        "whole": report.whole,
        "texts": report.texts,
    }
    click.echo(json.dumps(document, indent=2))


def _print_report(report: CompileReport) -> None:
    from ovenbird.console.describe import blind_warning, random_warning
    from ovenbird.networks.any_batch import RECIPE
    from ovenbird_runtime.manifest.program import sizes_text

    warning = random_warning(report.manifest)
    if warning:
        click.echo(warning)
    variants = ", ".join(variant.name for variant in report.manifest.variants)
    click.echo(f"{report.output}: {report.manifest.model.name} for {variants}, {report.size_bytes / 1e6:.1f} MB")
    parity = report.parity
    if parity is not None:
        several = len(parity.programs) > 1
        errors = "; ".join(
            (f"{name}: " if several else "max error ") + _figures(one) for name, one in parity.programs.items()
        )
        click.echo(
            f"verified for {', '.join(report.verified)} against {report.framework} "
            f"on {parity.images} photographs and {parity.random_inputs} random inputs: {errors}"
        )
    for program in report.manifest.programs.values():
        if program.sizes:
            click.echo(f"image sizes {sizes_text(program.image_sizes)} (height x width)")
    if report.one_row:
        click.echo(f"rows go through one by one: {report.manifest.model.name} fixes its batch at 1; {RECIPE}")
    if report.blind:
        click.echo(blind_warning(report.blind, report.framework))
    for target, why in report.unverified.items():
        click.echo(f"not verified for {target}: {why}")
    for target, document in report.manifest.tuning.items():
        stale = f", {document['stale']} stale records" if document["stale"] else ""
        click.echo(f"{target}: {document['tuned']} layers tuned, {document['default']} by default schedules{stale}")
    for target, (whole, count) in report.whole.items():
        click.echo(f"{target}: {whole} of {count} sums of products in whole numbers")
    for target, line in report.texts.items():
        click.echo(f"{target}: texts: {line}")
    for target, why in report.unplanned.items():
        click.echo(f"{target}: no plan for a runtime without TVM: {why}")
    if report.dumped is not None:
        click.echo(f"code to read: {report.dumped}")


def _figures(figures: ProgramParity) -> str:
    """Return how far one program's outputs were off at most, and how many of its answers agreed."""
    text = ", ".join(f"{name} {error:.1e}" for name, error in figures.max_abs_error.items())
    if figures.top1_agreement is not None:
        text += f", top-1 agreement {figures.top1_agreement:.0%}"
    if figures.boxes_agreement is not None and figures.boxes:
        text += f", {round(figures.boxes_agreement * figures.boxes)} of {figures.boxes} boxes agree"
    return text
