"""One loaded artifact, warm and tested, with its batcher: what requests are answered by.

    deployment = Deployment.prepare(source, settings)        # blocks: load, warm-up, self-test
    deployment.start(metrics)                                # on the event loop
    outputs = await deployment.infer(rows, arrays, deadline)

Requests keep the deployment they began with, so that a swap changes nothing under their feet.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ...artifact.names import model_name_from
from ...limits import SERVE_ENGINE_FAILURES
from ...manifest.program import InputSize
from ...model import Model, load
from ...selftest import golden_of
from ...tensors.arrays import Array
from ..backend import connect
from ..errors import DeadlineExceeded, NotReady
from ..offload import Offload
from ..settings import ModelSource, Settings
from ..telemetry.metric_names import (
    BATCH_IMAGES,
    COMPUTE,
    ENGINE_FAILURES,
    EXPIRED,
    IMAGES_DONE,
    PADDED_IMAGES,
    QUEUE,
)
from ..telemetry.metrics import Metrics
from ..telemetry.statistics import Statistics
from .admission import Admission
from .batcher import Batcher, Pending
from .batching import Costs
from .calibration import calibrate

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class Deployment:
    """A model and everything that feeds it."""

    def __init__(self, name: str, model: Model, settings: Settings, costs: Mapping[InputSize, Costs]) -> None:
        """Made by `prepare`."""
        self.name, self.model, self.settings, self.costs = name, model, settings, costs
        self.version = model.manifest.model.version or "1"
        self.failures = self.uses = 0
        self.statistics = Statistics()
        self._golden = golden_of(model)
        self.batcher: Batcher
        self.admission: Admission
        self.cutting: asyncio.Lock
        self._metrics: Metrics

    @property
    def usual_costs(self) -> Costs:
        """The costs at the usual image size."""
        return self.costs[self.model.sizes[0]]

    @property
    def slowest_image_seconds(self) -> float:
        """What one image takes, of the size that takes longest."""
        return max(costs.total(1) for costs in self.costs.values()) / 1000

    @classmethod
    def prepare(cls, source: ModelSource, settings: Settings) -> Deployment:
        """Load, run every batch size until its cost is known, and reproduce the golden outputs.

        Raises OvenbirdError of whatever is wrong with the artifact, the machine or the results.
        """
        return cls.made_of(load_served(source, settings), source.name, settings)

    @classmethod
    def made_of(cls, model: Model, name: str | None, settings: Settings) -> Self:
        """Do the rest of what `prepare` does, with a model that is loaded; close it where that fails."""
        try:
            deployment = cls(name or model_name_from(model.name), model, settings, cls.calibrated(model, settings))
            deployment.selftest()
            deployment.warm_up()
        except BaseException:
            model.close()
            raise
        return deployment

    @classmethod
    def calibrated(cls, model: Model, settings: Settings) -> Mapping[InputSize, Costs]:
        """Return what calls cost here, by image size. Raises EngineError."""
        return calibrate(model, settings)

    def selftest(self) -> None:
        """Reproduce the golden outputs, as `ovenbird-rt selftest` does. Raises SelftestFailed, EngineError."""
        for golden in self._golden:
            golden.reproduce(self.model)

    def warm_up(self) -> None:
        """Answer one made-up picture, so that no client waits while decoders are imported."""
        for file in self.made_up():
            self.model.predict(file)

    def made_up(self) -> Iterator[bytes]:
        """Yield a made-up picture of each usual kind; none where the model says nothing of pictures."""
        from PIL import Image

        if self.model.manifest.preprocess.default is None:
            return
        for kind in ("JPEG", "PNG"):
            file = io.BytesIO()
            Image.new("RGB", (320, 240)).save(file, kind)
            yield file.getvalue()

    def start(self, metrics: Metrics) -> None:
        """Begin to take work. On the event loop."""
        settings = self.settings
        specs = (*self.model.inputs, *self.model.outputs)
        self._metrics = metrics
        self.batcher = Batcher(
            self.model.run_checked,
            self.costs,
            settings.workers,
            settings.batch_wait_ms / 1000,
            self,
            merge=all(spec.batched for spec in specs),
        )
        self.admission = Admission(settings.queue_images, self.seconds_for, self.model.share)
        self.cutting = asyncio.Lock()  # held by who has a photograph cut into tiles

    def __enter__(self) -> Deployment:
        """Hold the deployment for one request: it is not closed before all let go."""
        self.uses += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self.uses -= 1

    def seconds_for(self, rows: Mapping[InputSize, int]) -> float:
        """Estimate how long `rows` of each image size take all processors, as things have gone of late."""
        total = sum(self.costs[size].total(count) * self.model.slowdown_of(size) for size, count in rows.items())
        return total / 1000 / self.settings.workers

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return self.batcher.waiting

    @property
    def slowdown(self) -> float:
        """How many times as long as the costs of the usual image size calls take of late."""
        return self.model.slowdown_of(self.model.sizes[0])

    async def infer(
        self, rows: int, arrays: Mapping[str, Array], deadline: float, size: InputSize = ()
    ) -> tuple[dict[str, Array], Pending]:
        """Queue checked rows of one image size that were announced to the batcher; return the outputs, and the entry
        for its times.

        Raises DeadlineExceeded, EngineError, NotReady.
        """
        entry = Pending(rows, arrays, deadline, asyncio.get_running_loop().create_future(), size=size)
        self.batcher.submit(entry)
        return await self._answer(entry)

    async def infer_prepared(
        self, offload: Offload, prepare: Callable[[], Mapping[str, Array]], deadline: float, size: InputSize = ()
    ) -> tuple[dict[str, Array], Pending]:
        """Announce one row of an image size to the batcher, and queue what `prepare()` gives straight from the thread
        of `offload` that it ran on; return what `infer` gives. Raises what `prepare` and `infer` raise.
        """
        self.batcher.expect(1, size)
        entry = Pending(1, {}, deadline, asyncio.get_running_loop().create_future(), size=size)
        offload.start(self._fill, entry, prepare)
        return await self._answer(entry)

    def _fill(self, entry: Pending, prepare: Callable[[], Mapping[str, Array]]) -> None:
        """Prepare and queue an entry whose client still waits. On a thread of the pool's."""
        if entry.future.done():
            self.batcher.expect(-entry.rows, entry.size)
            return
        try:
            entry.arrays = prepare()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the client's answer
            self.batcher.expect(-entry.rows, entry.size)
            self.batcher.fail(entry, error)
            return
        try:
            self.batcher.submit(entry)
        except NotReady as error:
            self.batcher.fail(entry, error)

    async def _answer(self, entry: Pending) -> tuple[dict[str, Array], Pending]:
        """Wait for an entry's outputs, until its deadline."""
        return await self.before(entry.deadline, entry.future), entry

    async def before(self, deadline: float, future: asyncio.Future[T]) -> T:
        """Return what a future brings before the deadline; cancel it where nobody waits any more.

        Raises DeadlineExceeded, and what it brings.
        """
        timer = asyncio.get_running_loop().call_later(max(0.0, deadline - time.monotonic()), _give_up, future)
        try:
            return await future
        except DeadlineExceeded:
            self._metrics.add(EXPIRED, 1, self.name)
            raise
        finally:
            timer.cancel()
            future.cancel()

    # ---- what the batcher reports, from its threads

    def ran(self, images: int, size: int, seconds: float, waits: list[float]) -> None:
        """Count a batch."""
        self.failures = 0
        metrics = self._metrics
        self.statistics.ran(images, seconds)
        metrics.observe(COMPUTE, seconds, self.name)
        metrics.observe(BATCH_IMAGES, images, self.name)
        metrics.add(IMAGES_DONE, images, self.name)
        if size > images:
            metrics.add(PADDED_IMAGES, size - images, self.name)
        for wait in waits:
            metrics.observe(QUEUE, wait, self.name)

    def failed(self, error: BaseException) -> None:
        """Count a failure; some in a row make the model unhealthy."""
        self.failures += 1
        self._metrics.add(ENGINE_FAILURES, 1, self.name)

    # ---- health

    @property
    def hung(self) -> bool:
        """Whether a call into the engine takes absurdly long."""
        expected = max(costs.total(costs.largest) for costs in self.costs.values()) / 1000 * 10
        return self.batcher.busy_seconds() > max(self.settings.hang_seconds, expected)

    @property
    def healthy(self) -> bool:
        """Whether the engine neither fails nor hangs."""
        return self.failures < SERVE_ENGINE_FAILURES and not self.hung

    def probe(self) -> bool:
        """Run the self-test on a model that failed; a success makes it healthy again. Blocks."""
        try:
            self.selftest()
        except Exception:  # noqa: BLE001 - still unhealthy, in whatever way
            return False
        self.failures = 0
        return True

    def close(self, seconds: float) -> None:
        """Finish what is queued and let go of the model; blocks for at most about `seconds`."""
        self.batcher.close(seconds)
        if not self.hung:
            self.model.close()
            del self.admission  # it knows this object: without it the last request's end is the model's end


def load_served(source: ModelSource, settings: Settings) -> Model:
    """Load a model, or connect to the server that runs it. Raises OvenbirdError."""
    if settings.backend_url is not None:
        return connect(source.path, settings.backend_url, public_key=settings.public_key)
    return load(
        source.path,
        settings.device,
        settings.threads,
        workers=settings.workers,
        public_key=settings.public_key,
        precision=settings.precision,
    )


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded("the request's time is over (X-Request-Timeout-Ms)"))
