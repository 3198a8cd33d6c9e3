"""`ovenbird serve`: serve artifacts by the runtime's own server, which takes this process's place.

ovenbird serve artifacts/resnet50 --port 8000
"""

from __future__ import annotations

from typing import NoReturn

import click


@click.command(
    "serve",
    short_help="Serve artifacts over HTTP, as `ovenbird-rt serve` does.",
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> NoReturn:
    """Do what `ovenbird-rt serve ARTIFACT...` does on the target, with its options (`--help` lists them).

    Signals reach the server itself. It needs the runtime's extra `serve`, which the message names where it is missing.
    """
    import os
    import sys

    from ovenbird.process.children import RUNTIME_PROGRAM, environment

    # in place of this process: whoever started it can stop the server, and reads its exit code
    os.execve(sys.executable, [sys.executable, "-c", RUNTIME_PROGRAM, "serve", *arguments], environment())
