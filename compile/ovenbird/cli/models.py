"""`ovenbird models`: the networks that have a name.

ovenbird models --json
"""

from __future__ import annotations

import click

from ovenbird.console import shared_options


@click.command("models", short_help="List the built-in networks.")
@shared_options.as_json
def command(as_json: bool) -> None:
    """List the built-in networks. Others are compiled by module:callable, .pt2 or .onnx."""
    from ovenbird.models import recipes

    found = recipes()
    if as_json:
        import json

        documents = [
            {
                "name": name,
                "summary": one.summary,
                "outputs": {step.output: step.step for step in one.outputs},
                "preprocess": list(one.pipelines),
                "weights": {"origin": one.weights.origin, "detail": one.weights.detail},
                "licence": one.licence,
            }
            for name, one in found.items()
        ]
        click.echo(json.dumps(documents, indent=2))
        return
    width = max(map(len, found))
    for name, one in found.items():
        click.echo(f"{name:<{width}}  {one.summary}")
        outputs = ", ".join(step.output for step in one.outputs)
        click.echo(f"{'':<{width}}  outputs {outputs}; weights: {one.weights.origin} {one.weights.detail}")
