"""`ovenbird verify`: compare an artifact with its network again, on your own images if you like.

ovenbird verify artifacts/resnet50 --weights resnet50.pth --images photos/
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ovenbird.console import shared_options

if TYPE_CHECKING:
    from ovenbird.networks.composite import Composite
    from ovenbird.networks.network import Network
    from ovenbird.verify.reached import Reached
    from ovenbird.verify.verifying import Verification


@click.command("verify", short_help="Compare an artifact with its network.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--model", help="The network, as given to compile. [default: the built-in one of the artifact's name]")
@click.option("--images", type=click.Path(exists=True, path_type=Path), help="An image, or a folder of images.")
@click.option("--target", metavar="NAME", help="The variant to run. [default: the best that runs here]")
@shared_options.tolerance("the artifact's own")
@shared_options.network_options
@shared_options.quiet
@shared_options.as_json
def command(artifact: Path, model: str | None, images: Path | None, target: str | None, **options: Any) -> None:
    """Run the artifact in the runtime, in a process of its own, and compare it with its network.

    The network is built again: a built-in one by its name, with the package's, torchvision's or random weights it had;
    weights that came from a file are given by --weights, a network of your own by --model.
    """
    from ovenbird.process.children import let_waiting_threads_sleep

    let_waiting_threads_sleep()
    from ovenbird.console.describe import blind_warning, random_warning
    from ovenbird.host.symbols import read_symbols_early
    from ovenbird.process.progress import Progress
    from ovenbird.verify.parity import parity, parity_bytes
    from ovenbird.verify.photographs import own_photographs
    from ovenbird.verify.rebuilding import entry_sizes, rebuild_model
    from ovenbird.verify.verifying import verify_programs
    from ovenbird_runtime.artifact.artifact import open_artifact
    from ovenbird_runtime.artifact.variant import choose_variant
    from ovenbird_runtime.machine.cpu import this_machine
    from ovenbird_runtime.manifest.agreement import LIMITS
    from ovenbird_runtime.manifest.manifest import VariantParity

    opened = open_artifact(artifact)
    manifest = opened.manifest
    _, chosen = choose_variant(opened, "cpu", this_machine(), target)
    limits = manifest.parity.limits_for(chosen.variant, chosen.precision) if manifest.parity else LIMITS["f32"]
    held = VariantParity(chosen.precision, limits.for_tolerance(options["tolerance"]))
    photographs = find_images(images) if images else own_photographs()
    with Progress.choose(options["quiet"]) as progress:
        progress(f"building {model or manifest.model.name} again")
        read_symbols_early()
        network = rebuild_model(manifest, model, shared_options.read_network_options(options))
        framework = network.framework
        progress(f"comparing with {framework}")
        sizes = entry_sizes(opened)
        reached = reached_by(network, photographs) if chosen.precision == "int8" else None
        found = verify_programs(
            opened.root, network.programs, sizes, held.limits, photographs, chosen.target,
            counting=reached is not None, reached=reached,
        )  # fmt: skip
    if options["as_json"]:
        figures = parity({chosen.variant: found}, {chosen.variant: held})
        click.echo(parity_bytes(figures, framework).decode(), nl=False)
        return
    warning = random_warning(manifest)
    if warning:
        click.echo(warning)
    for name, one in found.items():
        if one.blind:
            click.echo(blind_warning(one.blind, framework))
        whose = f"{artifact}, program {name}," if len(found) > 1 else str(artifact)
        click.echo(f"{whose} is its network: {_figures(one)}")


def _figures(found: Verification) -> str:
    """Return the errors, what they are held to, and on how many inputs."""
    errors = ", ".join(f"{name} {one.max_abs:.1e}" for name, one in found.outputs.items())
    shares = ", ".join(f"{one.rms:.1e}" for one in found.outputs.values())
    top1 = "" if found.top1_agreement is None else f", top-1 agreement {found.top1_agreement:.0%}"
    return (
        f"max error {errors}; of their spread {shares}, limit {found.limits.rms:g}{top1}, "
        f"on {found.images} photographs and {found.random_inputs} random inputs"
        + (f"; texts: {found.texts.line()}" if found.texts is not None else "")
    )


def reached_by(network: Network | Composite, photographs: list[Path]) -> Reached | None:
    """Return what reaches the programs of a model that writes texts of photographs; None of one that writes none."""
    from ovenbird.networks.composite import Composite
    from ovenbird.quantize.calibration.pictures import Pictures, held_pictures
    from ovenbird.verify.reached import reach

    if not isinstance(network, Composite) or network.loop is None:
        return None
    first = network.programs[network.loop.once[0]]
    return reach(network, held_pictures(first, Pictures([], tuple(photographs), "photographs")))


def find_images(path: Path) -> list[Path]:
    """Return an image, or a folder's images in the order of their names. Raises UsageError where there is none."""
    from ovenbird.errors import UsageError
    from ovenbird.verify.photographs import SUFFIXES

    found = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"--images {path}: no {', '.join(SUFFIXES)} file there")
    return found
