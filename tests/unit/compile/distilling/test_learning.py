"""The student comes nearer to its teacher; a run goes on where it stopped, and with nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ovenbird.distilling import learning
from ovenbird.distilling.learning import LearningOptions, Lesson
from ovenbird.distilling.roles import Role
from ovenbird.distilling.views import Album
from ovenbird.errors import UsageError
from ovenbird.process.progress import Progress
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Resize

PIPELINE = (Resize(shorter=16), CentreCrop(size=(16, 16)), Normalise(mean=(0.5,), std=(0.25,)))
OPTIONS = LearningOptions(minutes=1000, batch=8, rate=1e-2)


class Net(nn.Module):
    def __init__(self, width: int, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 4, 4, bias=False)  # its gradient were rounding's, which Adam blows up
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        embedding = self.norm(self.conv(image)).relu().mean((2, 3))
        return {"logits": self.head(embedding), "embedding": embedding}


def role(width: int, seed: int, classes: int = 4, sharp: float = 1.0) -> Role:
    torch.manual_seed(seed)
    net = Net(width, classes)
    with torch.no_grad():
        net.head.weight.mul_(sharp)
    return Role(f"net{width}", net.eval(), PIPELINE)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are most of such small networks' time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Album:
    folder, draws = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for place in range(60):
        coarse = draws.integers(0, 255, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((24, 24)).save(folder / f"{place}.png")
    return Album.of(folder, seed=0)


class After(Progress):
    """Stops the work at a step, as a signal does."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def learn(lesson: Lesson, steps: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        lesson.learn(After(steps))


def test_the_student_agrees_more(album: Album, tmp_path: Path) -> None:
    lesson = Lesson(role(16, 1, sharp=8.0), role(6, 2), album, OPTIONS, tmp_path / "kept")
    before = lesson.measure()
    learn(lesson, 100)
    after = lesson.measure()
    assert lesson.before == before
    assert after.divergence < 0.5 * before.divergence
    assert after.top1 > before.top1
    assert after.learned > before.learned
    assert after.cosine is None  # of other sizes, they cannot be compared


def test_embeddings_of_one_size_are_drawn_together(album: Album, tmp_path: Path) -> None:
    lesson = Lesson(role(8, 1), role(8, 2), album, replace(OPTIONS, rate=0.05, embedding=20.0), tmp_path)
    before = lesson.measure()
    learn(lesson, 60)
    after = lesson.measure()
    assert before.cosine is not None
    assert after.cosine is not None
    assert after.cosine > before.cosine + 0.1


def test_the_teacher_stays_as_it_was(album: Album, tmp_path: Path) -> None:
    teacher = role(16, 1)
    before = {name: tensor.clone() for name, tensor in teacher.net.state_dict().items()}
    learn(Lesson(teacher, role(6, 2), album, OPTIONS, tmp_path), 5)
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.net.state_dict().items())


def test_a_run_goes_on_where_it_stopped(album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after six steps and gone on with to twelve: the same weights as twelve steps at once.

    The rate follows the time, which is so long here that its share rounds to nothing.
    """
    monkeypatch.setattr(learning, "SAVE_SECONDS", 0.0)
    options = replace(OPTIONS, minutes=100_000)
    whole = Lesson(role(16, 1), role(6, 2), album, options, tmp_path / "whole")
    learn(whole, 12)
    first = Lesson(role(16, 1), role(6, 2), album, options, tmp_path / "parts")
    learn(first, 6)
    second = Lesson(role(16, 1), role(6, 2), album, options, tmp_path / "parts")
    assert second.steps == 6
    assert second.before == first.before
    learn(second, 6)
    for name, tensor in whole.student.state().items():
        torch.testing.assert_close(second.student.state()[name], tensor, rtol=1e-3, atol=1e-4)


def test_batch_norms_have_the_statistics_of_what_was_learned(album: Album, tmp_path: Path) -> None:
    """A torchvision MobileNetV3 moves them by a hundredth a step: after few they are those of its first weights."""
    student = role(6, 2)
    norm = student.net.norm
    assert isinstance(norm, nn.BatchNorm2d)
    norm.momentum = 1e-4
    lesson = Lesson(role(16, 1), student, album, replace(OPTIONS, minutes=0.01), tmp_path)
    lesson.learn(Progress())
    images = torch.from_numpy(album.shown(album.learned, (PIPELINE,))[0])
    assert isinstance(student.net.conv, nn.Conv2d)
    with torch.no_grad():
        seen = student.net.conv(images)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_var, seen.var((0, 2, 3)), rtol=0.3, atol=0.0)
    assert (norm.running_mean - seen.mean((0, 2, 3))).abs().max() < 0.3 * seen.std()
    assert norm.momentum == 1e-4


def test_it_stops_by_time(album: Album, tmp_path: Path) -> None:
    lesson = Lesson(role(16, 1), role(6, 2), album, replace(OPTIONS, minutes=0.01), tmp_path)
    lesson.learn(Progress())
    assert lesson.seconds >= 0.6
    steps = lesson.steps
    again = Lesson(role(16, 1), role(6, 2), album, replace(OPTIONS, minutes=0.01), tmp_path)
    again.learn(Progress())  # the time is over already
    assert again.steps == steps


@pytest.mark.parametrize("other", ["teacher", "student", "rate"])
def test_another_lesson_is_refused(other: str, album: Album, tmp_path: Path) -> None:
    Lesson(role(16, 1), role(6, 2), album, replace(OPTIONS, minutes=0.001), tmp_path).learn(Progress())
    teacher, student = role(16, 3 if other == "teacher" else 1), role(7 if other == "student" else 6, 2)
    with pytest.raises(UsageError, match="is of another lesson"):
        Lesson(teacher, student, album, replace(OPTIONS, rate=0.5) if other == "rate" else OPTIONS, tmp_path)


def test_classes_must_be_the_same(album: Album, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="net16 has 4 classes, net6 5"):
        Lesson(role(16, 1), role(6, 2, classes=5), album, OPTIONS, tmp_path)
