"""`ovenbird distil`: a small network learns a large one's answers from pictures without labels, and is compiled.

ovenbird distil efficientnet_lite0 mobilenet_v3_small --images photos/ --minutes 30 -o artifacts/small
"""

from __future__ import annotations

from pathlib import Path

import click

from ovenbird.console import shared_options


@click.command("distil", short_help="Teach a small network a large one's answers, compile it.")
@click.argument("teacher")
@click.argument("student")
@click.option("--images", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder of pictures, without labels. A fifth of them is held back to compare on.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="The student's artifact. Weights and state lie next to it, in OUTPUT.distil. "
              "[default: artifacts/NAME]")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0.01, 100_000), default=10.0, show_default=True,
              help="Of learning, those of earlier runs included.")  # fmt: skip
@click.option("--batch", type=click.IntRange(2, 4096), default=16, show_default=True, help="Pictures a step.")
@click.option("--rate", type=click.FloatRange(0, 1, min_open=True), default=1e-3, show_default=True,
              help="AdamW's rate at its highest.")  # fmt: skip
@click.option("--embedding-weight", type=click.FloatRange(0, 1000), default=1.0, show_default=True,
              help="Of the embedding's part of the loss.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--weights", metavar="FILE|random:SEED", help="The teacher's. [default: the network's own]")
@click.option("--student-weights", metavar="FILE|random:SEED|default", default="random:0", show_default=True,
              help="What the student begins with; default stands for the network's own.")  # fmt: skip
@click.option("--target", default="host", show_default=True, help="What to compile the student for.")
@shared_options.quiet
@shared_options.as_json
def command(
    teacher: str,
    student: str,
    images: Path,
    output: Path | None,
    minutes: float,
    batch: int,
    rate: float,
    embedding_weight: float,
    seed: int,
    weights: str | None,
    student_weights: str,
    target: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Teach STUDENT the answers of TEACHER, compile it, and print how far it agrees before and after.

    Both are built-in classifiers or module:callable, of the same classes. The same command goes on where an earlier run
    was stopped, with more --minutes too. Learning is torch's, on this machine's processors.
    """
    from ovenbird.distilling.learning import LearningOptions
    from ovenbird.distilling.running import DistilPlan, distil
    from ovenbird.loading.request import name_of
    from ovenbird.process.interruption import Interruption
    from ovenbird.process.progress import Progress

    plan = DistilPlan(
        teacher=teacher,
        student=student,
        images=images,
        output=output or Path("artifacts") / name_of(student),
        teacher_weights=weights,
        student_weights=student_weights,
        target=target,
        learning=LearningOptions(minutes, batch, rate, embedding_weight, seed),
    )
    with Progress.choose(quiet) as progress, Interruption(progress) as step:
        report = distil(plan, step)
    click.echo(report.to_json() if as_json else f"{report.table()}\n{report.output}: {student}, compiled and verified")
