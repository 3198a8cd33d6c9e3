"""`ovenbird keygen`: a key to sign artifacts with.

ovenbird keygen release.key
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("keygen", short_help="Make a key to sign artifacts with.")
@click.argument("key", type=click.Path(path_type=Path, dir_okay=False))
def command(key: Path) -> None:
    """Write a new Ed25519 key to KEY (keep it secret) and its public half to KEY.pub (give it to targets).

    With $OVENBIRD_KEY_PASSWORD set, KEY is encrypted. The same by hand: `openssl genpkey -algorithm ed25519`.
    """
    from ovenbird.trust.signing import make_key

    public = make_key(key)
    click.echo(f"{key} (secret) and {key}.pub, key id {public.id}")
