"""`ovenbird targets`: what code can be made for.

ovenbird targets --json
"""

from __future__ import annotations

import click

from ovenbird.cli import _options


@click.command("targets", short_help="List the targets.")
@_options.as_json
def command(as_json: bool) -> None:
    """List the targets: folders of `targets/`, each with what its machine must have."""
    import dataclasses

    from ovenbird.targets import load_target, target_folders

    found = [load_target(name) for name in target_folders()]
    if as_json:
        import json

        click.echo(json.dumps([dataclasses.asdict(spec) for spec in found], indent=2))
        return
    width = max(len(spec.name) for spec in found)
    for spec in found:
        click.echo(f"{spec.name:<{width}}  {spec.summary}")
        made = spec.cuda_arch if spec.kind == "cuda" else f"{spec.mcpu}, {spec.vector_bits}-bit vectors"
        click.echo(f"{'':<{width}}  {spec.kind} {spec.triple}, {made}, glibc {spec.glibc}")
