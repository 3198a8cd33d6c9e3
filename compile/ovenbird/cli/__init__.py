"""The command line `ovenbird`: one file a command, found by its name, loaded when it is called for.

ovenbird compile resnet50 --target host -o artifacts/resnet50
ovenbird run artifacts/resnet50 photo.jpg

A command file defines `command` (a click command) and imports nothing heavy at its top, so that `ovenbird --help`
answers at once.
"""

from __future__ import annotations

from typing import Any

import click

from ovenbird.console.group import CommandFolder
from ovenbird_runtime.machine.versions import __version__


@click.group(
    cls=CommandFolder,
    package=__name__,
    name="ovenbird",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 good, 1 the work failed, 2 wrong usage.",
)
@click.version_option(__version__, prog_name="ovenbird")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    """Compile vision models into artifacts that run without the framework that made them."""
    context.obj = options
