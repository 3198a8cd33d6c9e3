"""`ovenbird run`: run an artifact through the runtime, in a process of its own.

ovenbird run artifacts/resnet50 photo.jpg --top 5
ovenbird run artifacts/resnet50 -i inputs.npz -o outputs.npz
"""

from __future__ import annotations

import click


@click.command(
    "run",
    short_help="Run an artifact on images or arrays.",
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Do what `ovenbird-rt run DIR IMAGE...` does on the target, with its options (`--help` lists them)."""
    import subprocess
    import sys

    from ovenbird.process.children import RUNTIME_PROGRAM, environment

    command = [sys.executable, "-c", RUNTIME_PROGRAM, "run", *arguments]
    code = subprocess.run(command, env=environment(), check=False).returncode
    return code if code >= 0 else 128 - code
