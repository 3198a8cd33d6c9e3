"""`ovenbird inspect`: what an artifact is, read from its manifest; nothing of it is loaded, unless layers are timed.

ovenbird inspect artifacts/resnet50 --json
ovenbird inspect artifacts/resnet50 --html report.html
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ovenbird.console import shared_options

if TYPE_CHECKING:
    from ovenbird_runtime.artifact.artifact import Artifact


@click.command("inspect", short_help="Print what an artifact is.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE",
              help="Write one page of it, the time of each layer measured here.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), help="With --html, threads to time with. [all that are ours]")
@shared_options.quiet
@shared_options.as_json
def command(artifact: Path, page: Path | None, threads: int | None, quiet: bool, as_json: bool) -> None:
    """Describe the artifact: network, inputs, outputs, targets, parity, tuning; which layers are
    f32 in what --precision auto made, and why. Its code is not loaded, but for --html, which
    runs each variant to time its layers."""
    from ovenbird.console.describe import describe
    from ovenbird.console.layer_precisions import calibration_of, mixture_lines
    from ovenbird_runtime.artifact.artifact import open_artifact
    from ovenbird_runtime.artifact.origin import read_origin
    from ovenbird_runtime.integrity.signatures import signers
    from ovenbird_runtime.text import trust_lines

    opened = open_artifact(artifact)
    if page is not None:
        _write_page(opened, page, threads, quiet)
    targets = {variant.name: opened.read_target(variant) for variant in opened.manifest.variants}
    signed, origin = signers(opened.root), read_origin(opened)
    if not as_json:
        click.echo(describe(opened.manifest, targets))
        for line in mixture_lines(calibration_of(opened)):
            click.echo(line)
        for line in trust_lines(opened.manifest.digest, signed, opened.signed_by, origin):
            name, text = line[:8], line[9:]
            click.echo(f"{name:10} {text}")
        return
    import json

    from ovenbird_runtime.manifest.schema import encode

    document = {"manifest": encode(opened.manifest), "targets": {name: encode(one) for name, one in targets.items()}}
    document |= {"signatures": list(signed), "signed_by": opened.signed_by, "provenance": origin}
    document |= {"calibration": calibration_of(opened)}
    click.echo(json.dumps(document, indent=2))


def _write_page(artifact: Artifact, page: Path, threads: int | None, quiet: bool) -> None:
    """Time the layers and write the page. Raises OutputError, ArtifactError."""
    from ovenbird.benchmarking.artifact_profile import profile_artifact
    from ovenbird.console.artifact_page import artifact_page
    from ovenbird.errors import output_error
    from ovenbird.process.progress import Progress
    from ovenbird_runtime.machine.cpu import available_threads

    with Progress.choose(quiet) as step:
        profiles = profile_artifact(artifact, threads or available_threads(), step)
    text = artifact_page(artifact, profiles)
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise output_error(error, str(page)) from error
