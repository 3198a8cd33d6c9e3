"""Options that several commands share, and how their values are read.

@network_options
def command(model: str, **options): ...
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ovenbird.loading.options import NetworkOptions
    from ovenbird.networks.processing.options import ProcessingOptions

F = TypeVar("F", bound=Callable[..., Any])

quiet = click.option("-q", "--quiet", is_flag=True, help="No progress, only the result.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


trust = click.option("--trust", is_flag=True, help="Let a .pt2 file run code of its own. Only for files that you made.")


def registry(command: F) -> F:
    """Add what is said about a registry: whose signature is required, and whether it speaks plain HTTP."""
    for option in (
        click.option("--plain-http", is_flag=True, help="Of a registry without TLS, as on this machine."),
        click.option(
            "--public-key", type=click.Path(path_type=Path), metavar="FILE",
            help="The PEM file of keys, one of which must have signed. [default: $OVENBIRD_REQUIRE_SIGNATURE]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def batch_sizes(default: str, what: str) -> Callable[[F], F]:
    """Return the option for batch sizes, under the names that other tools have for it."""
    return click.option("-b", "--batch-sizes", "--batch-size", default=default, show_default=True, help=what)


def precision(command: F) -> F:
    """Add the precision of values, and the flags that other tools have for it."""
    command = click.option("--fp16", "--half", "precision", flag_value="f16", help="The same as --precision f16.")(
        command
    )
    return click.option(
        "--precision", metavar="f32|f16|bf16|int8|auto", default="f32", show_default=True,
        help="Of the arithmetic: f16 on GPUs (on processors: of large matrices' weights), int8 on processors, bf16 on "
        "those that have it; other targets compute in f32. compile takes several, as in f32,int8, and auto: int8, with "
        "layers that cost too many answers in f32.",
    )(command)  # fmt: skip


def calibration(command: F) -> F:
    """Add what int8 is calibrated on, and how far it may answer otherwise."""
    for option in (
        click.option(
            "--max-disagreement", metavar="SHARE",
            help="Refuse int8 code that answers more of its pictures otherwise than the network, as in 1% or 0.01. "
            "[default for --precision auto: 1%]",
        ),
        click.option(
            "--int8-programs", metavar="NAMES",
            help="Of a model of several programs, those in int8, comma-separated; others multiply bfloat16 where the "
            "target does, else float32. [default: all]",
        ),
        click.option(
            "--quantizer", type=click.Choice(["own", "onnxruntime"]), default="own", show_default=True,
            help="Whose quantizer makes int8 of the network; onnxruntime's must be installed.",
        ),
        click.option(
            "--calibration-method", type=click.Choice(["max", "percentile", "mse", "entropy"]),
            help="How int8's ranges follow from what calibration saw. [default: mse; max without --calibrate]",
        ),
        click.option(
            "--calibration-size", type=click.IntRange(1, 10_000), default=64, show_default=True, metavar="N",
            help="Of the pictures to calibrate on, how many at most.",
        ),
        click.option(
            "--calibrate", type=click.Path(exists=True, path_type=Path), metavar="FOLDER|FILE.npz",
            help="Photographs, or arrays by the inputs' names, that int8's ranges are taken from. [default: what comes "
            "with the compiler]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def parse_share(option: str, text: str | None) -> float | None:
    """Read `1%` or `0.01`. Raises UsageError."""
    from ovenbird.errors import UsageError

    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(%?)", text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else 2.0
    if value > 1:
        raise UsageError(f"{option} {text!r}: expected a share of 0 to 1, as in 1% or 0.01")
    return value


def parse_names(text: str | None) -> tuple[str, ...]:
    """Read names with commas between them; none of nothing."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def name(command: F) -> F:
    """Add the model's name."""
    return click.option(
        "--name", metavar="NAME", help="The model's name in routes, labels and images. [default: after MODEL]"
    )(command)


def tolerance(default: str) -> Callable[[F], F]:
    """Add `--tolerance`, whose default is given in words."""
    text = "Errors' root mean square, as a share of each output's own spread over the inputs; one may be 20 times it."
    return click.option("--tolerance", type=click.FloatRange(min=0, min_open=True), help=f"{text} [default: {default}]")


def network_options(command: F) -> F:
    """Add what may be said about a network: weights, shapes, names, pre-processing."""
    for option in (
        click.option(
            "--trust", is_flag=True, help="Let a .pt2 file run code of its own. Only for files that you made."
        ),
        click.option("--output-names", "--outputs", help="The outputs' names, comma-separated, in order."),
        click.option("--input-names", help="The inputs' names, comma-separated, in order."),
        click.option(
            "--input-shapes",
            "--input-shape",
            "--shapes",
            help='The inputs\' shapes, as in "image:[1,3,320,320] ids:[1,16]".',
        ),
        click.option(
            "--size", metavar="SIZE", help="The image's height and width that the network takes, as in 320 or 320x480."
        ),
        click.option(
            "--image-sizes",
            metavar="SIZES",
            help="Several sizes of images in one artifact, the usual one first: 320,640 or 320x480 or 224:512:32.",
        ),
        click.option(
            "--arg",
            "arguments",
            multiple=True,
            metavar="NAME=VALUE",
            help="An argument of module:callable, a Python literal. May be repeated.",
        ),
        click.option(
            "--preprocess",
            metavar="NAME|FILE",
            help="The pre-processing that the artifact uses by default: imagenet, or a .toml file. "
            "[default: the file NETWORK.preprocess.toml next to the network's; none: no file]",
        ),
        click.option(
            "--weights",
            metavar="FILE|random:SEED|default",
            help="A .pth or .safetensors file, darknet's .weights for a .cfg, or random:SEED for untrained weights. "
            "[default: the network's own]",
        ),
    ):
        command = option(command)
    return command


PROCESSING = {
    "labels": ("FILE", "The classes' names, one a line, or a JSON list."),
    "answer": ("KINDS", "What the outputs are: classes, embedding, boxes, text or raw, in order, or NAME=classes,..."),
    "decode": ("KIND", "How boxes are decoded: yolov5, yolov8, ssd, fastestdet, ... [default: by the outputs' shapes]"),
    "resize": ("SIZE", "A picture's shorter side, an exact HEIGHTxWIDTH, fit or none. [default: the network's size]"),
    "crop": ("SIZE", "What is cut out of the middle. [default: the network's size]"),
    "interpolation": ("NAME", "nearest, bilinear, bicubic or lanczos. [default: bilinear]"),
    "mean": ("VALUES", "Of red, green, blue; pixels are 0 to 1 before it. [default: 0]"),
    "std": ("VALUES", "Of red, green, blue. [default: 1]"),
    "scale": ("NUMBER", "What pixels of 0 to 255 are multiplied by. [default: 1/255]"),
    "channels": ("rgb|bgr|grey", "The order in which the network takes them; grey for one. [default: what fits it]"),
    "pad": ("VALUE", "Of the pixels around a picture with --resize fit. [default: 0]"),
}
"""What may be said about pixels and answers: an option, its value and its help; a file has the same names."""


def processing_options(command: F) -> F:
    """Add what may be said about pixels, labels and answers of a network that the user brings."""
    for name, (metavar, text) in reversed(PROCESSING.items()):
        command = click.option(f"--{name}", "labels_file" if name == "labels" else name, metavar=metavar, help=text)(
            command
        )
    return command


def read_network_options(options: dict[str, Any]) -> NetworkOptions:
    """Turn the command line's strings into NetworkOptions. Raises UsageError."""
    from ovenbird.loading.options import NetworkOptions
    from ovenbird.networks.processing.options import parse_size
    from ovenbird.networks.reference import parse_keywords
    from ovenbird.networks.sizes import parse_sizes

    shapes, sizes = options.get("input_shapes"), options.get("image_sizes")
    return NetworkOptions(
        weights=options.get("weights"),
        preprocess=options.get("preprocess"),
        input_shapes=parse_shapes(shapes) if shapes else None,
        image_sizes=parse_sizes(sizes) if sizes else (),
        input_names=_names(options.get("input_names")),
        output_names=_names(options.get("output_names")),
        trust=bool(options.get("trust")),
        name=options.get("name"),
        arguments=parse_keywords(tuple(options.get("arguments") or ())),
        size=parse_size("--size", options["size"]) if options.get("size") else None,
        processing=_processing(options),
    )


def _processing(options: dict[str, Any]) -> ProcessingOptions:
    from ovenbird.networks.processing.options import PARSERS, ProcessingOptions

    given = {name: options.get("labels_file" if name == "labels" else name) for name in PROCESSING}
    return ProcessingOptions(
        **{name: PARSERS[name](f"--{name}", text) for name, text in given.items() if text is not None}
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def parse_shapes(text: str) -> dict[str, tuple[int, ...]]:
    """Read tvmc's notation, `image:[1,3,224,224] ids:[1,16]`, or trtexec's, `image:1x3x224x224`. Raises UsageError."""
    from ovenbird.errors import UsageError

    text = re.sub(r":([0-9]+(?:x[0-9]+)*)(?=[\s,]|$)", lambda found: f":[{found[1].replace('x', ',')}]", text)
    one = r"([^\s:\[\]]+):\[((?:\s*\d+\s*,?)*)\]"
    if not re.fullmatch(rf"\s*{one}(?:[\s,]+{one})*\s*", text):
        raise UsageError(f'--input-shapes {text!r}: expected "name:[1,3,224,224]", several with spaces between them')
    return {name: tuple(int(dim) for dim in dims.split(",") if dim.strip()) for name, dims in re.findall(one, text)}


def parse_batches(text: str) -> tuple[int, ...]:
    """Read `--batch-sizes`, as in `1,8`. Raises UsageError."""
    from ovenbird.errors import UsageError
    from ovenbird.limits import MAX_BATCH

    sizes = text.split(",")
    if not all(re.fullmatch(r"[1-9][0-9]{0,5}", size) and int(size) <= MAX_BATCH for size in sizes):
        raise UsageError(
            f"--batch-sizes {text!r}: expected sizes of 1 to {MAX_BATCH} with commas between them, as in 1,8"
        )
    return tuple(sorted({int(size) for size in sizes}))
