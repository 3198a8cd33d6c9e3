"""A loaded model that writes texts, with its queue: what requests for sentences are answered by.

TextDeployment.prepare(source, settings)       # blocks: load, time a text, self-test; then `start`, and `write`
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...generation.text import TextRequest
from ...generation.writer import TextWriter
from ...manifest.program import InputSize
from ...model import Model
from ...postprocess.text import TextAnswer
from ...tensors.arrays import Array
from ..offload import Offload
from ..settings import Settings
from ..telemetry.metric_names import BATCH_IMAGES, COMPUTE, IMAGES_DONE, QUEUE
from ..telemetry.metrics import Metrics
from .admission import Admission, Permit
from .batching import Costs
from .deployment import Deployment
from .text_costs import TextCosts, timed
from .text_queue import PendingText, TextQueue, Written


class TextDeployment(Deployment):
    """A model with a loop. Its costs are those of a whole text, by itself; what is let in is counted by its length."""

    def __init__(self, name: str, model: Model, settings: Settings, costs: Mapping[InputSize, Costs]) -> None:
        """Made by `prepare`."""
        super().__init__(name, model, settings, costs)
        self.writer = _writer(model, settings)
        self.texts: TextQueue
        own = self.usual_costs
        assert isinstance(own, TextCosts)
        self.text_costs = own

    @classmethod
    def calibrated(cls, model: Model, settings: Settings) -> Mapping[InputSize, Costs]:
        """Time a whole text. Raises EngineError."""
        spec = model.manifest.picture_program.inputs[0]
        return {(): timed(_writer(model, settings), np.zeros(spec.with_batch(1), spec.dtype))}

    def start(self, metrics: Metrics) -> None:
        """Begin to take work. On the event loop."""
        self._metrics = metrics
        self.texts = TextQueue(self.writer, self, self.text_costs)
        self.admission = Admission(self.settings.queue_images, self.seconds_for, self.model.share)
        self.cutting = asyncio.Lock()

    def admit(self, texts: int, request: TextRequest, deadline: float) -> Permit:
        """Return a permit for texts that are asked for alike. Raises QueueFull, DeadlineExceeded, BadRequest."""
        return self.admission.take(texts, deadline, (request.steps,))

    def seconds_for(self, rows: Mapping[InputSize, int]) -> float:
        """Estimate how long so many texts of each length, which stands for an image's size, take from now."""
        return sum(self.text_costs.seconds(texts, steps) for (steps,), texts in rows.items())

    @property
    def waiting(self) -> int:
        """Texts that have not begun."""
        return self.texts.waiting

    @property
    def slowdown(self) -> float:
        """What texts take of late, against one by itself."""
        return self.text_costs.slowdown

    async def write(
        self,
        offload: Offload,
        prepare: Callable[[], Mapping[str, Array]],
        request: TextRequest,
        deadline: float,
        written: Written | None = None,
    ) -> tuple[TextAnswer, PendingText]:
        """Write a text for the picture that `prepare()` gives, on a thread of `offload`; return it, and the entry for
        its times. `written` is called with the tokens so far.

        Raises what `prepare` raises, DeadlineExceeded, EngineError, NotReady.
        """
        arrays = await offload.run(prepare)
        picture = next(iter(arrays.values()))
        entry = PendingText(picture, request, deadline, asyncio.get_running_loop().create_future(), written)
        self.texts.submit(entry)
        return await self.before(deadline, entry.future), entry

    # ---- what the queue reports, from its thread

    def stepped(self, texts: int, seconds: float) -> None:
        """Count a step of all texts in flight."""
        self.failures = 0
        self.statistics.ran(texts, seconds)
        self._metrics.observe(BATCH_IMAGES, texts, self.name)

    def wrote(self, entry: PendingText) -> None:
        """Count a text."""
        self._metrics.observe(QUEUE, entry.started - entry.queued, self.name)
        self._metrics.observe(COMPUTE, entry.finished - entry.started, self.name)
        self._metrics.add(IMAGES_DONE, 1, self.name)

    # ---- health

    @property
    def hung(self) -> bool:
        """Whether a call into the engine takes absurdly long."""
        return self.texts.busy_seconds() > max(self.settings.hang_seconds, self.usual_costs.table[1] / 1000 * 10)

    def warm_up(self) -> None:
        """Prepare one made-up picture, so that no client waits while decoders are imported."""
        for file in self.made_up():
            self.model.predict(file, max_tokens=1)

    def close(self, seconds: float) -> None:
        """Finish what waits and is in flight, and let go of the model; blocks for at most about `seconds`."""
        self.texts.close(seconds)
        if not self.hung:
            self.model.close()
            del self.admission


def _writer(model: Model, settings: Settings) -> TextWriter:
    found: Any = model.text_writer(settings.max_batch)
    assert isinstance(found, TextWriter)
    return found
