"""`ovenbird sign`: put a signature next to an artifact's manifest.

ovenbird sign artifacts/resnet50 --key release.key
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("sign", short_help="Sign an artifact.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--key", required=True, type=click.Path(path_type=Path), help="The private key, PEM, Ed25519.")
def command(artifact: Path, key: Path) -> None:
    """Check every file of ARTIFACT, then sign its manifest, which names them all; signatures of other keys stay.

    An encrypted key's password is read from $OVENBIRD_KEY_PASSWORD.
    """
    from ovenbird.trust.signing import read_private_key, sign_artifact

    path = sign_artifact(artifact, read_private_key(key))
    click.echo(f"{path}: signed")
