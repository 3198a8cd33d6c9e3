"""`ovenbird push`: put an artifact into a registry of container images.

ovenbird push artifacts/resnet50 registry.example/models/resnet50:1
ovenbird push artifacts/resnet50 oci:build/layout:resnet50
"""

from __future__ import annotations

from pathlib import Path

import click

from ovenbird.console import shared_options


@click.command("push", short_help="Put an artifact into a registry of images.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("reference")
@shared_options.registry
@shared_options.quiet
@shared_options.as_json
def command(
    artifact: Path, reference: str, public_key: Path | None, plain_http: bool, quiet: bool, as_json: bool
) -> None:
    """Check every file of ARTIFACT, then push it to REFERENCE: HOST/NAME:TAG, or oci:FOLDER:TAG for a folder.

    What the registry has already is not sent again. Credentials are docker's (`docker login`). The artifact's files are
    the layers of an OCI image manifest, so that `oras pull` restores the folder too.
    """
    from ovenbird.console.describe import transferred
    from ovenbird.process.progress import Progress
    from ovenbird.registry.references import ImageReference
    from ovenbird.registry.transferring import push

    with Progress.choose(quiet) as progress:
        done = push(
            artifact, ImageReference.parse(reference), public_key=public_key, plain_http=plain_http, step=progress
        )
    click.echo(transferred(done, "pushed", reference, as_json))
