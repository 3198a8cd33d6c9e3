"""`ovenbird pull`: fetch an artifact from a registry of container images.

ovenbird pull registry.example/models/resnet50:1 -o artifacts/resnet50 --public-key release.pub
"""

from __future__ import annotations

from pathlib import Path

import click

from ovenbird.console import shared_options


@click.command("pull", short_help="Fetch an artifact from a registry of images.")
@click.argument("reference")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@shared_options.registry
@shared_options.quiet
@shared_options.as_json
def command(
    reference: str, output: Path, public_key: Path | None, plain_http: bool, quiet: bool, as_json: bool
) -> None:
    """Fetch what `ovenbird push` put at REFERENCE: HOST/NAME:TAG, HOST/NAME@sha256:..., or oci:FOLDER:TAG.

    The signature is checked before anything but the manifest is fetched, and every file against the digest that the
    manifest names. The folder is an artifact once all of it is there; a failure leaves nothing behind.
    """
    from ovenbird.console.describe import transferred
    from ovenbird.process.progress import Progress
    from ovenbird.registry.references import ImageReference
    from ovenbird.registry.transferring import pull

    with Progress.choose(quiet) as progress:
        done = pull(
            ImageReference.parse(reference), output, public_key=public_key, plain_http=plain_http, step=progress
        )
    click.echo(transferred(done, "pulled", reference, as_json))
