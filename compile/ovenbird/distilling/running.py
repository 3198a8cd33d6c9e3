"""The whole way: learn, write the student's weights, compile it, and say what became of it.

report = distil(DistilPlan("efficientnet_lite0", "mynets:narrow", Path("photos"), Path("artifacts/narrow")), step)
report.table()
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ovenbird.api.compiling import compile
from ovenbird.distilling.learning import LearningOptions, Lesson, StudentScore
from ovenbird.distilling.roles import Role, load_role
from ovenbird.distilling.views import Album
from ovenbird.errors import RuntimeFailed, output_error
from ovenbird.process.children import ending, runtime_process
from ovenbird.process.progress import Progress

WEIGHTS = "student.pth"
REPORT = "report.json"
TIMED_SECONDS = 2.0
FEW_PICTURES = 5000
"""Below so many pictures the table is followed by a line that says what they cannot show."""


@dataclass(frozen=True)
class DistilPlan:
    """What is asked for."""

    teacher: str
    student: str
    images: Path
    output: Path
    teacher_weights: str | None = None
    student_weights: str = "random:0"
    target: str = "host"
    learning: LearningOptions = field(default_factory=LearningOptions)

    @property
    def folder(self) -> Path:
        """Where the state of learning and the student's weights are kept, next to the artifact."""
        return self.output.with_name(f"{self.output.name}.distil")


@dataclass(frozen=True)
class DistilReport:
    """What became of it; times are of one image on all threads, in milliseconds."""

    output: Path
    teacher: str
    student: str
    learned: int
    held: int
    steps: int
    seconds: float
    loss: float
    before: StudentScore
    after: StudentScore
    teacher_bytes: int
    student_bytes: int
    teacher_ms: float
    student_ms: float
    compiled_ms: float

    def table(self) -> str:
        """Return the table teacher, student before, student after, as text."""
        rows = [
            ("", "learned", "top-1", "top-5", "divergence", "cosine", "MB", "torch ms", "compiled ms"),
            ("teacher", *("100 %",) * 3, "0.00", "1.00", _mb(self.teacher_bytes), f"{self.teacher_ms:.1f}", ""),
            ("student before", *_words(self.before), _mb(self.student_bytes), f"{self.student_ms:.1f}", ""),
            ("student after", *_words(self.after), _mb(self.student_bytes), f"{self.student_ms:.1f}",
             f"{self.compiled_ms:.2f}"),
        ]  # fmt: skip
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append(
            f"agreement with the teacher on {self.held} pictures that were held back, and on the {self.learned} that "
            f"were learned from; {self.steps} steps in {self.seconds / 60:.1f} min"
        )
        if self.learned < FEW_PICTURES:
            lines.append(
                f"{self.learned} pictures show what a student learns of them, not how good it can become: that takes "
                "some hundred thousand, of the kind that it will meet"
            )
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(asdict(self) | {"output": str(self.output)}, indent=2)


def distil(plan: DistilPlan, step: Progress) -> DistilReport:
    """Distil, compile, measure. Raises UsageError, and any CompilerError."""
    album = Album.of(plan.images, plan.learning.seed)
    step(f"loading {plan.teacher} and {plan.student}")
    teacher, student = load_role(plan.teacher, plan.teacher_weights), load_role(plan.student, plan.student_weights)
    lesson = Lesson(teacher, student, album, plan.learning, plan.folder)
    lesson.learn(step)
    assert lesson.before is not None
    step("comparing on the pictures that were held back")
    after = lesson.measure()
    weights = plan.folder / WEIGHTS
    try:
        torch.save(student.state(), weights)
    except OSError as error:
        raise output_error(error, str(weights)) from error
    teacher_ms, student_ms = _in_turns(teacher, student, album)
    compiled = compile(plan.student, output=plan.output, weights=weights, target=plan.target, progress=step)
    report = DistilReport(
        compiled.output, plan.teacher, plan.student, len(album.learned), len(album.held), lesson.steps, lesson.seconds,
        lesson.loss, lesson.before, after, teacher.bytes, student.bytes, teacher_ms, student_ms,
        _compiled_ms(compiled.output),
    )  # fmt: skip
    (plan.folder / REPORT).write_text(report.to_json(), encoding="utf-8")
    return report


def _in_turns(teacher: Role, student: Role, album: Album) -> tuple[float, float]:
    """Return the shortest milliseconds of a call of each in torch, taken in turns."""
    best = [float("inf"), float("inf")]
    images = [torch.from_numpy(one) for one in album.shown(album.held[:1], (teacher.pipeline, student.pipeline))]
    calls: list[Callable[[], Any]] = [
        lambda: teacher.net(images[0]),
        lambda: student.net(images[1]),
    ]
    with torch.inference_mode():
        end = time.perf_counter() + TIMED_SECONDS
        while time.perf_counter() < end:
            for place, call in enumerate(calls):
                began = time.perf_counter()
                call()
                best[place] = min(best[place], 1000 * (time.perf_counter() - began))
    return best[0], best[1]


def _compiled_ms(artifact: Path) -> float:
    """Return the shortest milliseconds of a call of the artifact. Raises RuntimeFailed."""
    done = runtime_process(
        ["-m", "ovenbird_runtime", "bench", str(artifact), "--seconds", str(TIMED_SECONDS), "--json"]
    )
    try:
        return float(json.loads(done.stdout)["timings"][0]["min_ms"])
    except (ValueError, KeyError, IndexError):
        raise RuntimeFailed(f"the student's artifact cannot be timed: {ending(done.returncode, done.stderr)}") from None


def _words(found: StudentScore) -> tuple[str, ...]:
    shares = (f"{share:.0%}".replace("%", " %") for share in (found.learned, found.top1, found.top5))
    return (*shares, f"{found.divergence:.2f}", "" if found.cosine is None else f"{found.cosine:.2f}")


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f}"
