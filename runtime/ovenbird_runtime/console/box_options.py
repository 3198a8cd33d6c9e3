"""The options of boxes, for every command that answers with them.

@box_options
def run(score, iou, max_boxes, classes, agnostic, tiles, tile_overlap, save): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from ..limits import MAX_BOXES, MAX_TILE_OVERLAP

Command = TypeVar("Command", bound=Callable[..., None])
"""A command's function, which decorators give back."""


def _names(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Read labels or indices, several with commas between them."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def box_options(command: Command) -> Command:
    """Add the options of boxes, which have Ultralytics' names, too."""
    share = click.FloatRange(0.0, 1.0)
    for option in reversed((
        click.option("--score", "--conf", "score", type=share, help="Boxes with a score above. [the model's own]"),
        click.option("--iou", type=share, help="Overlap above which the lower of two boxes goes. [the model's own]"),
        click.option("--max-boxes", "--max-det", "max_boxes", type=click.IntRange(1, MAX_BOXES),
                     help="Boxes an image. [the model's own]"),
        click.option("--classes", callback=_names, metavar="NAMES", multiple=True,
                     help="Only boxes of these labels or indices, as in dog,person."),
        click.option("--agnostic/--by-class", "--agnostic-nms/ ", "agnostic", default=None,
                     help="Whether boxes of different classes suppress each other. [the model's own]"),
        click.option("--tiles", metavar="SIZE",
                     help="Look into tiles of SIZE pixels, too: 640, 480x640 or network, the size of its input."),
        click.option("--tile-overlap", type=click.FloatRange(0, MAX_TILE_OVERLAP), default=0.2, show_default=True,
                     help="The share of a tile that its neighbour has, too."),
        click.option("--save", metavar="FILE", type=click.Path(),
                     help="Draw boxes, classes, texts into a copy of the image; of several images, into a folder."),
    )):  # fmt: skip
        command = option(command)
    return command
