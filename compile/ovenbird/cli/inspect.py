"""`ovenbird inspect`: what an artifact is, read from its manifest; nothing of it is loaded.

ovenbird inspect artifacts/resnet50 --json
"""

from __future__ import annotations

from pathlib import Path

import click

from ovenbird.console import shared_options


@click.command("inspect", short_help="Print what an artifact is.")
@click.argument("artifact", type=click.Path(path_type=Path))
@shared_options.as_json
def command(artifact: Path, as_json: bool) -> None:
    """Describe the artifact: network, inputs, outputs, targets, parity, tuning; which layers are
    f32 in what --precision auto made, and why. Its code is not loaded."""
    from ovenbird.console.describe import describe
    from ovenbird.console.layer_precisions import calibration_of, mixture_lines
    from ovenbird_runtime.artifact.artifact import open_artifact
    from ovenbird_runtime.artifact.origin import read_origin
    from ovenbird_runtime.integrity.signatures import signers
    from ovenbird_runtime.text import trust_lines

    opened = open_artifact(artifact)
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
