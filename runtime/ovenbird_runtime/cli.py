"""The target's commands: run, inspect, copy, selftest, bench; serve and load with their extras.

    ovenbird-rt run artifacts/resnet50 photo.jpg
    ovenbird-rt inspect artifacts/resnet50 --json

Exit codes: 0 good, 1 the work failed (one line says why), 2 wrong usage.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, cast, get_args

import click

from . import __version__
from .console.box_options import Command, box_options
from .console.output import end_with_output, fails
from .console.signals import exit_if_signalled
from .console.spellings import GuidedGroup
from .errors import OvenbirdError, one_line
from .limits import (
    MAX_BEAMS,
    MAX_BENCH_BATCH,
    MAX_BENCH_CALLS,
    MAX_IMAGE_MEGAPIXELS,
    MAX_JOBS,
    MAX_THREADS,
    MAX_TOKENS,
    MAX_TOP,
    MAX_WORKERS,
)
from .manifest.agreement import Precision
from .options import PredictOptions

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
_debug = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
_threads = click.option("--threads", type=click.IntRange(1, MAX_THREADS), help="Threads a call [all that are ours].")
_device = click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda[:N]",
                       help="Where to run; cuda,cpu is a GPU if it can be used.")  # fmt: skip
_target = click.option("--target", metavar="NAME", help="The variant to use [the best that runs here].")
_precision = click.option("--precision", type=click.Choice(get_args(Precision)),
                          help="Of the arithmetic [the most exact that runs here].")  # fmt: skip
_signed = click.option(
    "--require-signature",
    "public_key",
    type=click.Path(),
    metavar="KEY.pub",
    help="Load only what one of these Ed25519 keys signed [$OVENBIRD_REQUIRE_SIGNATURE].",
)
_directory = click.argument("directory", metavar="DIR", type=click.Path())


def _image_sizes(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Read image sizes, HEIGHTxWIDTH or the side of a square, several with commas between them."""
    sizes = []
    for part in (part for value in values for part in value.split(",")):
        if not re.fullmatch(r"[1-9][0-9]{0,5}(x[1-9][0-9]{0,5})?", part, re.ASCII):
            raise click.BadParameter(f"{part!r}: expected sizes like 320 or 320x480 (height x width)")
        height, _x, width = part.partition("x")
        sizes.append((int(height), int(width or height)))
    return tuple(sizes)


def _batches(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...]:
    """Read batch sizes, several with commas between them, in the order given."""
    parts = [part for value in values for part in value.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdecimal() and 1 <= int(part[:6]) <= MAX_BENCH_BATCH):
            raise click.BadParameter(f"{part!r}: expected sizes of 1 to {MAX_BENCH_BATCH} with commas between them")
    return tuple(map(int, parts))


def _fail(error: OvenbirdError) -> NoReturn:
    click.echo(f"error: {type(error).__name__}: {error}", err=True)
    sys.exit(1)


def _guarded(command: Command) -> Command:
    """Turn typed errors into one line and exit code 1; --debug lets them through with their traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, debug: bool, **options: Any) -> None:
        try:
            command(*args, **options)
        except OvenbirdError as error:
            exit_if_signalled()
            if debug:
                raise
            _fail(error)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            exit_if_signalled()
            if debug or fails(error):
                raise
            reason = one_line(str(error).partition("\n")[0])
            click.echo(f"error: internal: {type(error).__name__}: {reason} (a bug; --debug shows where)", err=True)
            sys.exit(1)

    return cast(Command, wrapper)


# Commands that need an extra: imported when they are asked for, and by `--help`.
_EXTRAS = {
    "serve": ("serve", "ovenbird_runtime.serve.command"),
    "load": ("load", "ovenbird_runtime.load_test.command"),
}


_COMPILING = "that is done on the compiling machine, by `ovenbird {}`"


class _Commands(GuidedGroup):
    """Our commands, and those of extras; one whose extra is not installed says what to install."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        name: _COMPILING.format(name)
        for name in ("bake", "compile", "keygen", "models", "sign", "targets", "tune", "verify")
    }

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run a command line; ends the process, unless `standalone_mode=False`."""
        run = functools.partial(super().main, args, prog_name, **extra)
        return run() if not extra.get("standalone_mode", True) else end_with_output(run)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names."""
        return sorted({*super().list_commands(ctx), *_EXTRAS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; that of an extra is imported now."""
        if cmd_name not in _EXTRAS:
            return super().get_command(ctx, cmd_name)
        attribute, module = _EXTRAS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ovenbird-rt")
def main() -> None:
    """Run models that Ovenbird compiled."""


@main.command()
@_directory
@click.argument("images", metavar="IMAGE...", nargs=-1, type=click.Path())
@click.option("--preprocess", metavar="NAME", help="Pre-processing pipeline [the artifact's default].")
@click.option(
    "--top", type=click.IntRange(1, MAX_TOP), default=PredictOptions.top, show_default=True, help="Classes to print."
)
@click.option("--seed", type=click.IntRange(0), help="Seed of random pre-processing [a fresh one].")
@click.option("--embedding", is_flag=True, help="Print the embedding's vector too (with --json).")
@click.option("--image-size", "--imgsz", "image_size", metavar="SIZE",
              help="One of the sizes it was compiled for, as 640 or 320x480. [the usual one]")  # fmt: skip
@box_options
@click.option("--prompt", metavar="TEXT", help="What a text is to go on from, such as a question.")
@click.option("--max-tokens", type=click.IntRange(1, MAX_TOKENS), help="Tokens of a text. [the model's own]")
@click.option("--beams", type=click.IntRange(1, MAX_BEAMS), help="Texts searched through; 1: none. [the model's own]")
@click.option("--jobs", "-j", type=click.IntRange(0, MAX_JOBS), default=0, show_default=True,
              help="Threads that open and prepare the next images meanwhile; shows images/s.")  # fmt: skip
@click.option("--program", metavar="NAME", help="With --inputs, the program to run. [the only one]")
@click.option("--inputs", "-i", type=click.Path(), help="Feed this .npz of named tensors instead of images.")
@click.option("--outputs", "-o", type=click.Path(), help="Write the network's own outputs to this .npz.")
@click.option("--max-megapixels", type=float, default=MAX_IMAGE_MEGAPIXELS, show_default=True, help="Largest image.")
@_device
@_target
@_precision
@_threads
@_signed
@_json
@_debug
@_guarded
def run(
    directory: str,
    images: tuple[str, ...],
    preprocess: str | None,
    top: int,
    seed: int | None,
    embedding: bool,
    score: float | None,
    iou: float | None,
    max_boxes: int | None,
    classes: tuple[str, ...],
    agnostic: bool | None,
    tiles: str | None,
    tile_overlap: float,
    image_size: str | None,
    save: str | None,
    prompt: str | None,
    max_tokens: int | None,
    beams: int | None,
    jobs: int,
    program: str | None,
    inputs: str | None,
    outputs: str | None,
    max_megapixels: float,
    device: str,
    target: str | None,
    precision: Precision | None,
    threads: int | None,
    public_key: str | None,
    as_json: bool,
) -> None:
    """Run the network in DIR on images, or on tensors with --inputs.

    An image that cannot be read leaves the others their answers: a line of standard error, with --json a row with
    `error` and `type`, and exit code 1.
    """
    from .artifact.inspection import weights_line
    from .console.speed import speed_shown
    from .model import load
    from .text import answer_lines, answer_rows

    if bool(images) == bool(inputs) or (inputs and not outputs) or (outputs and not inputs):
        raise click.UsageError("give images, or both --inputs and --outputs")
    failures: dict[int, OvenbirdError] = {}
    with load(directory, device, threads, public_key=public_key, target=target, precision=precision) as model:
        if model.manifest.model.weights.random:
            click.echo(weights_line(model.manifest), err=True)
        if inputs and outputs:
            from .tensors.tensors import read_tensors, write_tensors

            write_tensors(Path(outputs), model.run(read_tensors(Path(inputs)), program=program))
            return
        options: dict[str, Any] = {"embedding": embedding, "max_megapixels": max_megapixels}
        options |= {"score": score, "iou": iou, "max_boxes": max_boxes, "agnostic": agnostic}
        options |= {"tiles": tiles, "tile_overlap": tile_overlap, "image_size": image_size}
        options |= {"prompt": prompt, "max_tokens": max_tokens, "beams": beams}
        with speed_shown(jobs > 0) as progress:
            failed = None if click.get_current_context().params["debug"] else failures.__setitem__
            options |= {"jobs": jobs, "progress": progress, "failed": failed}
            predictions = model.predict(list(images), preprocess, top, seed, classes=classes or None, **options)
        used = model.target.target
    for _, error in sorted(failures.items()):
        click.echo(f"error: {type(error).__name__}: {error}", err=True)
    answered = [place for place in range(len(images)) if place not in failures]
    if save is not None and answered:
        from .photographs.annotated import save_annotated

        pictures = [images[place] for place in answered]
        save_annotated(pictures, predictions, Path(save), max_megapixels, several=len(images) > 1)
    found = dict(zip(answered, predictions, strict=True))
    if as_json:
        click.echo(json.dumps(answer_rows(images, found, failures, used), indent=2))
    else:
        click.echo("".join(f"{line}\n" for line in answer_lines(images, found)), nl=False)
    if failures:
        sys.exit(1)


@main.command()
@_directory
@_signed
@_json
@_debug
@_guarded
def inspect(directory: str, public_key: str | None, as_json: bool) -> None:
    """Show what DIR holds and what of it runs here, without loading its code."""
    from .artifact.inspection import inspect_artifact
    from .text import inspection_lines

    found = inspect_artifact(directory, public_key)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(inspection_lines(found)))


@main.command()
@_directory
@click.argument("output", metavar="OUTPUT", type=click.Path())
@_signed
@_json
@_debug
@_guarded
def copy(directory: str, output: str, public_key: str | None, as_json: bool) -> None:
    """Copy DIR to OUTPUT, checking every file on the way."""
    from .copying import copy_artifact
    from .manifest.schema import encode

    copied = copy_artifact(directory, output, public_key)
    if as_json:
        click.echo(json.dumps(encode(copied), indent=2))
        return
    click.echo(f"{copied.model}: {copied.files} files, {copied.bytes / 1e6:.1f} MB, as the manifest says")


@main.command()
@_directory
@_device
@_target
@_precision
@_threads
@_signed
@_json
@_debug
@_guarded
def selftest(
    directory: str,
    device: str,
    target: str | None,
    precision: Precision | None,
    threads: int | None,
    public_key: str | None,
    as_json: bool,
) -> None:
    """Check every file that the manifest in DIR lists, and reproduce its golden outputs on this machine."""
    from . import selftest as work
    from .manifest.schema import encode

    result = work.selftest(directory, device, threads, public_key, target, precision)
    if as_json:
        click.echo(json.dumps(encode(result), indent=2))
        return
    errors = ", ".join(f"{name} {error:.2g}" for name, error in result.max_abs_error.items())
    click.echo(
        f"{result.model} for {result.target}: {result.files} files as written, {result.rows} golden rows reproduced"
    )
    shares = ", ".join(f"{name} {error:.2g}" for name, error in result.rms.items())
    click.echo(f"max abs error: {errors}; of their own spread: {shares} (limit {result.tolerance:.2g})")


@main.command()
@_directory
@click.option("-b", "--batch", "--batch-size", "--batch-sizes", "batches", callback=_batches,
              metavar="SIZES", multiple=True, default=("1",), show_default=True,
              help="Batch sizes, as in 1,8; repeatable.")  # fmt: skip
@click.option("--image-size", "--image-sizes", "sizes", callback=_image_sizes, metavar="SIZES", multiple=True,
              help="Image sizes, as in 320,320x480; repeatable. [the usual one]")  # fmt: skip
@click.option("--seconds", "--duration", type=click.FloatRange(0.1, 600), default=3.0, show_default=True,
              help="Time for each size.")  # fmt: skip
@click.option("--iterations", type=click.IntRange(1, MAX_BENCH_CALLS), help="Calls for each size. [as many as fit]")
@click.option("--warmup", type=click.IntRange(0, MAX_BENCH_CALLS),
              help="Calls before them, not timed. [a fifth of the time]")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, MAX_WORKERS), default=1, show_default=True, help="Calls at one time.")
@click.option("--image", metavar="FILE", help="Time predictions from this picture, decoded before. [random inputs]")
@_device
@_target
@_precision
@_threads
@_signed
@_json
@_debug
@_guarded
def bench(
    directory: str,
    batches: tuple[int, ...],
    sizes: tuple[tuple[int, ...], ...],
    seconds: float,
    iterations: int | None,
    warmup: int | None,
    workers: int,
    image: str | None,
    device: str,
    target: str | None,
    precision: Precision | None,
    threads: int | None,
    public_key: str | None,
    as_json: bool,
) -> None:
    """Time the network in DIR on random inputs, or its predictions from a picture."""
    from .bench import bench as measure
    from .manifest.schema import encode
    from .model import load
    from .preprocess.images import open_image
    from .text import timing_line

    with load(
        directory, device, threads, workers=workers, public_key=public_key, target=target, precision=precision
    ) as model:
        picture = None if image is None else open_image(image)
        timings = [
            measure(model, batch, seconds, picture, iterations=iterations, warmup=warmup, size=size)
            for size in sizes or ((),)
            for batch in batches
        ]
        used, variant = model.threads, model.target.target
    if as_json:
        rows = [encode(timing) | {"images_per_second": timing.images_per_second} for timing in timings]
        click.echo(json.dumps({"target": variant, "threads": used, "timings": rows}, indent=2))
        return
    click.echo(f"{variant}, {used} threads, times of one call in ms")
    for timing in timings:
        click.echo(timing_line(timing))


if __name__ == "__main__":
    main()
