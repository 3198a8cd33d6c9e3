"""`ovenbird targets`: what code can be made for.

ovenbird targets
ovenbird targets aarch64-generic --json
ovenbird targets aarch64-generic --containerfile
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ovenbird.console import shared_options

if TYPE_CHECKING:
    from ovenbird.targets import TargetSpec


@click.command("targets", short_help="List the targets, or explain one.")
@click.argument("name", required=False)
@click.option("--containerfile", is_flag=True, help="Print the target's Containerfile, as `ovenbird bake` uses it.")
@click.option("--measure", is_flag=True,
              help="Measure what `host` does in a second, for the estimates of later compiles here: seconds, "
              "during which nothing else should run.")  # fmt: skip
@shared_options.as_json
def command(name: str | None, containerfile: bool, measure: bool, as_json: bool) -> None:
    """List the targets: folders of `targets/`, each with what its machine must have.

    With a NAME, explain that target: every field, whether this machine runs its code, and what links for it here.
    """
    import json

    from ovenbird.backends.table import BACKENDS
    from ovenbird.baking.containerfile import read_container, render
    from ovenbird.errors import UsageError
    from ovenbird.targets import find_target, load_target, target_folders

    if containerfile:
        if name is None or as_json:
            raise UsageError("--containerfile prints the file of one target: ovenbird targets NAME --containerfile")
        click.echo(render(read_container(find_target(name))), nl=False)
        return
    if measure:
        measure_host(name)
    if name is not None:
        found = explain(load_target(name))
        click.echo(json.dumps(found, indent=2) if as_json else "\n".join(explained(found)))
        return
    specs = [load_target(each) for each in target_folders()]
    if as_json:
        click.echo(json.dumps([explain(spec) for spec in specs], indent=2))
        return
    width = max(len(spec.name) for spec in specs)
    for spec in specs:
        click.echo(f"{spec.name:<{width}}  {spec.summary}")
        made = BACKENDS[spec.kind].describe(spec)
        click.echo(f"{'':<{width}}  {spec.kind} {spec.triple}, {made}, glibc {spec.glibc}")


def measure_host(name: str | None) -> None:
    """Measure this machine, and keep what is found. Raises UsageError for another target, EngineFailed, OutputError."""
    from ovenbird.benchmarking.machine.figures import measure_figures
    from ovenbird.errors import UsageError, output_error
    from ovenbird.host.figures import figures_file, keep_figures
    from ovenbird.targets import load_target

    if name != "host":
        raise UsageError("--measure is for this machine: ovenbird targets host --measure")
    figures = measure_figures(load_target("host"))
    try:
        keep_figures(figures)
    except OSError as error:
        raise output_error(error, str(figures_file())) from error
    click.echo(f"measured {figures.gflops:.0f} GFLOP/s, {figures.gbytes_per_s:.0f} GB/s: {figures_file()}", err=True)


def explain(spec: TargetSpec) -> dict[str, Any]:
    """Return all that is known of a target: its fields, its container, and how it stands with this machine."""
    import dataclasses

    from ovenbird.baking.containerfile import read_container
    from ovenbird.errors import LinkerMissing
    from ovenbird.linking.linkers import find_linker
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


def explained(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of one target's explanation."""

    def kilobytes(level: str) -> str:
        return f"{found[level] // 1024} KiB" if found[level] else "none"

    here = found["here"]
    yield f"{found['name']}: {found['summary']}"
    yield f"code       {found['kind']}, {found['triple']}, {found['mcpu']} {' '.join(found['mattr'])}".rstrip()
    if found["chip"]:
        yield f"chip       {found['chip']}"
    for name, value in found["attributes"]:
        yield f"           {name} = {value}"
    yield f"needs      {' '.join(found['features']) or 'nothing beyond its architecture'}"
    yield f"           glibc {found['glibc']} or later"
    yield f"vectors    {found['vector_bits']} bits, {found['registers']} registers"
    caches = ", ".join(f"L{level} {kilobytes(f'l{level}{kind}_bytes')}" for level, kind in ((1, "d"), (2, ""), (3, "")))
    memory = found["memory_bytes_per_cycle"]
    measured = f", {memory} bytes a cycle from memory" if memory else ""
    yield f"tuned for  {found['cores']} cores, {caches}{measured}"
    yield f"container  {found['container']['platform'] or 'this machine'}, {found['container']['base']}"
    yield f"linked by  {here['linker'] or 'nothing here: ' + here['problem']}"
    yield f"runs here  {'yes' if here['runs'] else 'no: ' + here['reason']}"
