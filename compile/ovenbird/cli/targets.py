"""`ovenbird targets`: what code can be made for.

ovenbird targets
ovenbird targets aarch64-generic --json
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ovenbird.cli import _options

if TYPE_CHECKING:
    from ovenbird.targets import TargetSpec


@click.command("targets", short_help="List the targets, or explain one.")
@click.argument("name", required=False)
@_options.as_json
def command(name: str | None, as_json: bool) -> None:
    """List the targets: folders of `targets/`, each with what its machine must have.

    With a NAME, explain that target: every field, whether this machine runs its code, and what links for it here.
    """
    import json

    from ovenbird.targets import load_target, target_folders

    if name is not None:
        told = explain(load_target(name))
        click.echo(json.dumps(told, indent=2) if as_json else "\n".join(explained(told)))
        return
    found = [load_target(each) for each in target_folders()]
    if as_json:
        click.echo(json.dumps([explain(spec) for spec in found], indent=2))
        return
    width = max(len(spec.name) for spec in found)
    for spec in found:
        click.echo(f"{spec.name:<{width}}  {spec.summary}")
        made = spec.cuda_arch if spec.kind == "cuda" else f"{spec.mcpu}, {spec.vector_bits}-bit vectors"
        click.echo(f"{'':<{width}}  {spec.kind} {spec.triple}, {made}, glibc {spec.glibc}")


def explain(spec: TargetSpec) -> dict[str, Any]:
    """Return all that is known of a target: its fields, its container, and how it stands with this machine."""
    import dataclasses

    from ovenbird.backends.toolchain import find_linker
    from ovenbird.baking.containerfile import read_container
    from ovenbird.errors import LinkerMissing
    from ovenbird.targets import find_target, why_not_here

    container = read_container(find_target(spec.name))
    try:
        linker, problem = " ".join(find_linker(spec)), ""
    except LinkerMissing as error:
        linker, problem = "", str(error)
    return {
        **dataclasses.asdict(spec),
        "container": {"base": container.base, "platform": container.platform},
        "here": {"runs": not (reason := why_not_here(spec)), "reason": reason, "linker": linker, "problem": problem},
    }


def explained(told: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of one target's explanation."""

    def kilobytes(level: str) -> str:
        return f"{told[level] // 1024} KiB" if told[level] else "none"

    here = told["here"]
    yield f"{told['name']}: {told['summary']}"
    yield f"code       {told['kind']}, {told['triple']}, {told['mcpu']} {' '.join(told['mattr'])}".rstrip()
    if told["cuda_arch"]:
        yield f"gpu        {told['cuda_arch']}"
    for name, value in told["attributes"]:
        yield f"           {name} = {value}"
    yield f"needs      {' '.join(told['features']) or 'nothing beyond its architecture'}"
    yield f"           glibc {told['glibc']} or later"
    yield f"vectors    {told['vector_bits']} bits, {told['registers']} registers"
    caches = ", ".join(f"L{level} {kilobytes(f'l{level}{kind}_bytes')}" for level, kind in ((1, "d"), (2, ""), (3, "")))
    yield f"tuned for  {told['cores']} cores, {caches}"
    yield f"container  {told['container']['platform'] or 'this machine'}, {told['container']['base']}"
    yield f"linked by  {here['linker'] or 'nothing here: ' + here['problem']}"
    yield f"runs here  {'yes' if here['runs'] else 'no: ' + here['reason']}"
