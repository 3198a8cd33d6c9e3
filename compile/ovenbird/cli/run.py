"""`ovenbird run`: run an artifact through the runtime, in a process of its own.

ovenbird run artifacts/resnet50 photo.jpg --top 5
ovenbird run artifacts/resnet50 -i inputs.npz -o outputs.npz
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click


@click.command(
    "run",
    short_help="Run an artifact on images or arrays.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "-i", "--inputs", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Arrays by name (.npz)."
)
@click.option("-o", "--outputs", type=click.Path(path_type=Path), help="Where the outputs go (.npz).")
def command(arguments: tuple[str, ...], inputs: Path | None, outputs: Path | None) -> int:
    """Run DIR on images exactly as `ovenbird-rt run DIR IMAGE...` does on the target, with its options.

    With -i FILE.npz the network's own tensors are given by name, and -o FILE.npz takes its outputs.
    """
    if inputs is None and outputs is None:
        return run_on_images(arguments)
    from ovenbird.errors import UsageError

    if inputs is None or outputs is None or len(arguments) != 1:
        raise UsageError("run on arrays takes one artifact and both files: ovenbird run DIR -i FILE.npz -o FILE.npz")
    run_on_arrays(Path(arguments[0]), inputs, outputs)
    return 0


def run_on_images(arguments: tuple[str, ...]) -> int:
    """Hand over to `ovenbird-rt run`; give its exit code."""
    import subprocess
    import sys

    from ovenbird.runtime_process import environment

    # not a path to the program: it need not be installed where a checkout is used
    program = "import sys; from ovenbird_runtime.cli import main; sys.exit(main(prog_name='ovenbird'))"
    return subprocess.run([sys.executable, "-c", program, "run", *arguments], env=environment(), check=False).returncode


def run_on_arrays(artifact: Path, inputs: Path, outputs: Path) -> None:
    """Run the artifact on the arrays of a file and write its outputs to another. Raises UsageError, RuntimeFailed."""
    import numpy as np

    from ovenbird.errors import UsageError, output_error
    from ovenbird.runtime_process import run_artifact

    try:
        with np.load(inputs, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise UsageError(f"--inputs {inputs}: not a .npz file of plain arrays: {error}") from None
    answers = run_artifact(artifact, {"case": arrays})["case"]
    try:
        with outputs.open("wb") as file:
            np.savez(file, **cast("dict[str, Any]", answers))
    except OSError as error:
        raise output_error(error, str(outputs)) from None
    for name, array in answers.items():
        click.echo(f"{name} {array.dtype} {list(array.shape)}")
