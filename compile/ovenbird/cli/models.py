"""`ovenbird models`: the networks that have a name.

ovenbird models --json
ovenbird models torchvision         # every network of an installed package that can be compiled by its prefix
"""

from __future__ import annotations

import json

import click

from ovenbird.console import shared_options


@click.command("models", short_help="List the built-in networks.")
@click.argument("package", required=False, metavar="[torchvision|timm|hf]")
@shared_options.as_json
def command(package: str | None, as_json: bool) -> None:
    """List the built-in networks, and the packages whose networks a prefix names; or one package's networks.

    Others are compiled by module:callable, .pt2 or .onnx.
    """
    if package is not None:
        _print_package(package, as_json)
    elif as_json:
        _print_json()
    else:
        _print_text()


def _print_json() -> None:
    from ovenbird.models import recipes

    documents = [
        {
            "name": name,
            "summary": one.summary,
            "outputs": {step.output: step.step for step in one.outputs},
            "preprocess": list(one.pipelines),
            "weights": {"origin": one.weights.origin, "detail": one.weights.detail},
            "licence": one.licence,
        }
        for name, one in recipes().items()
    ]
    click.echo(json.dumps(documents, indent=2))


def _print_text() -> None:
    from ovenbird.models import recipes
    from ovenbird.models.packages.table import PACKAGES

    found = recipes()
    width = max(map(len, found))
    for name, one in found.items():
        click.echo(f"{name:<{width}}  {one.summary}")
        outputs = ", ".join(step.output for step in one.outputs)
        click.echo(f"{'':<{width}}  outputs {outputs}; weights: {one.weights.origin} {one.weights.detail}")
    for prefix, package in PACKAGES.items():
        missing = package.why_not()
        click.echo(f"{f'{prefix}:NAME':<{width}}  {package.summary}")
        usable = f"`ovenbird models {prefix}` lists them" if package.lists else "usable here"
        click.echo(f"{'':<{width}}  {f'not installed: {missing}' if missing else usable}")


def _print_package(prefix: str, as_json: bool) -> None:
    from ovenbird.errors import UsageError, suggest
    from ovenbird.models.packages.table import PACKAGES

    if prefix not in PACKAGES:
        raise UsageError(f"no package {prefix!r}{suggest(prefix, PACKAGES)}; there are {', '.join(PACKAGES)}")
    names = [f"{prefix}:{name}" for name in PACKAGES[prefix].names()]
    click.echo(json.dumps(names, indent=2) if as_json else "\n".join(names or [PACKAGES[prefix].summary]))
