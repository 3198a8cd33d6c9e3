"""The student learns: on views of pictures, the teacher's logits and embedding, until the time is over.

    lesson = Lesson(teacher, student, album, LearningOptions(minutes=10), Path("artifacts/net.distil"))
    lesson.learn(step)          # goes on where an earlier run stopped
    lesson.measure()            # how far the student agrees on the pictures that were held back

Loss: the divergence of softened answers (Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531) and one minus
the cosine between embeddings, the student's through a matrix of its own where sizes differ, as in FitNets (Romero et
al. 2015, https://arxiv.org/abs/1412.6550). The rate falls by a cosine over the time.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ovenbird.distilling.roles import Role
from ovenbird.distilling.views import MOST_HELD, Album
from ovenbird.errors import UsageError
from ovenbird.process.progress import Progress
from ovenbird.replacing import replacing

TEMPERATURE = 4.0
"""By which logits are divided, so that the order among unlikely classes teaches as well."""
WARMING_STEPS = 20
"""In which the rate rises."""
SAVE_SECONDS = 20.0
"""How much an interrupted run loses at most, and a step more."""
STATE = "state.pt"
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
SETTLING_BATCHES, SETTLING_VIEWS = 24, 1 << 40
"""Of views that the statistics of batch norms are taken from, and their first, which no lesson comes to."""
FORMAT = 2
"""Of the state; a run of another one is not gone on with."""


@dataclass(frozen=True)
class LearningOptions:
    """What is said about learning."""

    minutes: float = 10.0
    batch: int = 16
    rate: float = 1e-3
    embedding: float = 1.0
    """The weight of the embedding's part; 0 leaves it out."""
    seed: int = 0


@dataclass(frozen=True)
class StudentScore:
    """How a student answers pictures that it did not learn from, against its teacher."""

    learned: float
    """The share of pictures that it did learn from, whole, whose first class is its teacher's."""
    top1: float
    top5: float
    """The share of pictures whose first class of the teacher is among the student's five."""
    divergence: float
    """Of the answers, in nats, a mean."""
    cosine: float | None
    """Between embeddings of the same size, a mean."""


@dataclass(frozen=True)
class _Answered:
    """How a student answers one picture: whether its first class is its teacher's, whether that is among its five."""

    same: bool
    near: bool
    divergence: float
    cosine: float | None


class Lesson:
    """A teacher, a student, pictures, and what was learned so far."""

    def __init__(self, teacher: Role, student: Role, album: Album, options: LearningOptions, folder: Path) -> None:
        """Begin, or go on with what lies in `folder`. Raises UsageError where that is of another lesson."""
        self.teacher, self.student, self._album, self._options, self._folder = teacher, student, album, options, folder
        self.steps, self.seconds, self.loss = 0, 0.0, math.nan
        self.before: StudentScore | None = None
        torch.manual_seed(options.seed)
        self._bridge = self._match()
        self._optimizer = torch.optim.AdamW(
            [*student.net.parameters(), *self._bridge.parameters()], lr=options.rate, weight_decay=0.02
        )
        for one in teacher.net.parameters():
            one.requires_grad_(False)
        self._resume()

    def learn(self, step: Progress) -> None:
        """Learn until the time is over; what was learned is kept every few seconds."""
        limit, saved = 60 * self._options.minutes, time.monotonic()
        self.before = self.before or self.measure()
        began = time.monotonic() - self.seconds
        while self.seconds < limit:
            left = limit - self.seconds
            text = f"learning, loss {self.loss:.3f}, {self.steps} steps" if self.steps else "learning"
            step(text, int(self.seconds), max(int(limit), 1))
            self.loss = self._step(self.seconds / limit)
            self.steps, self.seconds = self.steps + 1, time.monotonic() - began
            if time.monotonic() - saved > min(SAVE_SECONDS, left):
                self._save()
                saved = time.monotonic()
        step("taking the statistics of its batch norms", 0, 0)
        self._settle()
        self._save()
        self.student.net.eval()

    @torch.no_grad()
    def _settle(self) -> None:
        """Take the statistics of the student's batch norms anew, over views: those that a short run leaves are of a
        network that it no longer is.
        """
        norms = [part for part in self.student.net.modules() if isinstance(part, NORMS)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a mean of all that follow
        self.student.net.train()
        for place in range(SETTLING_BATCHES if norms else 0):
            images = self._album.views(self._options.batch, SETTLING_VIEWS + place, self._pipelines)
            self.student.answers(torch.from_numpy(images[1]))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def measure(self) -> StudentScore:
        """Compare both networks on the pictures that were held back, and on those that are learned from."""
        self.student.net.eval()
        learned = [one.same for one in self._compared(self._album.learned[:MOST_HELD])]
        rows = [*self._compared(self._album.held)]
        cosines = [one.cosine for one in rows if one.cosine is not None]
        return StudentScore(
            learned=_mean(learned),
            top1=_mean([one.same for one in rows]),
            top5=_mean([one.near for one in rows]),
            divergence=_mean([one.divergence for one in rows]),
            cosine=_mean(cosines) if cosines else None,
        )

    @torch.no_grad()
    def _compared(self, pictures: Sequence[Path]) -> Iterator[_Answered]:
        """Yield how both answer each picture, shown whole."""
        for start in range(0, len(pictures), self._options.batch):
            images = self._album.shown(pictures[start : start + self._options.batch], self._pipelines)
            right, found = (
                role.answers(torch.from_numpy(one))
                for role, one in zip((self.teacher, self.student), images, strict=True)
            )
            first, five = right.logits.argmax(1), found.logits.topk(min(5, found.logits.shape[1])).indices
            wrong = functional.kl_div(
                found.logits.log_softmax(1), right.logits.log_softmax(1), reduction="none", log_target=True
            ).sum(1)
            same, near = five[:, 0] == first, (five == first[:, None]).any(1)
            one, two = right.embedding, found.embedding
            alike: list[float | None] = [None] * len(first)
            if one is not None and two is not None and one.shape == two.shape:
                alike = functional.cosine_similarity(one, two).tolist()
            columns = (same.tolist(), near.tolist(), wrong.tolist(), alike)
            yield from (_Answered(*row) for row in zip(*columns, strict=True))

    @property
    def _pipelines(self) -> tuple[Any, Any]:
        return self.teacher.pipeline, self.student.pipeline

    def _match(self) -> nn.Module:
        """Return what maps the student's embedding to the teacher's. Raises UsageError where classes differ."""
        self.teacher.net.eval()
        self.student.net.eval()
        with torch.no_grad():
            images = self._album.shown(self._album.held[:1], self._pipelines)
            right, found = (
                role.answers(torch.from_numpy(one))
                for role, one in zip((self.teacher, self.student), images, strict=True)
            )
        if right.logits.shape != found.logits.shape:
            raise UsageError(
                f"{self.teacher.text} has {right.logits.shape[1]} classes, {self.student.text} "
                f"{found.logits.shape[1]}: a student has its teacher's"
            )
        if right.embedding is None or found.embedding is None or not self._options.embedding:
            return nn.Sequential()
        sizes = found.embedding.shape[1], right.embedding.shape[1]
        return nn.Identity() if sizes[0] == sizes[1] else nn.Linear(*sizes, bias=False)

    def _step(self, share: float) -> float:
        """Learn from one batch; `share` of the time is over. Return the loss."""
        rate = self._options.rate * min(1.0, (self.steps + 1) / WARMING_STEPS) * 0.5 * (1 + math.cos(math.pi * share))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        images = self._album.views(self._options.batch, self.steps, self._pipelines)
        with torch.no_grad():
            right = self.teacher.answers(torch.from_numpy(images[0]))
        self.student.net.train()
        found = self.student.answers(torch.from_numpy(images[1]))
        given, wanted = ((one.logits / TEMPERATURE).log_softmax(1) for one in (found, right))
        loss = TEMPERATURE**2 * functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
        if right.embedding is not None and found.embedding is not None and self._options.embedding:
            near = functional.cosine_similarity(self._bridge(found.embedding), right.embedding)
            loss = loss + self._options.embedding * (1 - near).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.student.net.parameters(), 5.0)
        self._optimizer.step()
        return float(loss.detach())

    @property
    def _key(self) -> str:
        """A digest of what must be the same for a run to be gone on with: all but the minutes."""
        options = {name: value for name, value in asdict(self._options).items() if name != "minutes"}
        names = [str(path) for path in (*self._album.learned, *self._album.held)]
        parts = (FORMAT, self.teacher.text, self.student.text, _sum(self.teacher.net), options, names)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _resume(self) -> None:
        path = self._folder / STATE
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        if state["key"] != self._key:
            raise UsageError(
                f"{path} is of another lesson (networks, pictures or options differ): remove {self._folder}, or give "
                "another --output"
            )
        self.student.net.load_state_dict(state["student"])
        self._bridge.load_state_dict(state["bridge"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.steps, self.seconds, self.loss = state["steps"], state["seconds"], state["loss"]
        self.before = StudentScore(**state["before"])

    def _save(self) -> None:
        assert self.before is not None
        state = {
            "key": self._key, "student": self.student.net.state_dict(), "bridge": self._bridge.state_dict(),
            "optimizer": self._optimizer.state_dict(), "steps": self.steps, "seconds": self.seconds, "loss": self.loss,
            "before": asdict(self.before),
        }  # fmt: skip
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._folder / STATE) as partial:
            torch.save(state, partial)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _sum(net: nn.Module) -> str:
    """Return a digest of a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else b"")
    return digest.hexdigest()
