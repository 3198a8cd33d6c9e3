"""The models by name, each in a slot whose deployment can be swapped while requests run.

slot = slots.find("resnet50", version=None)       # raises UnknownModel, NotReady
await slots.reload()                              # every artifact again, from where it was
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import one_line, shown
from ...limits import SERVE_TIMEOUT_IMAGES, SERVE_TIMEOUT_MS
from ..errors import NotReady, UnknownModel
from ..http.errors import StartFailed
from ..memory import set_objects_aside
from ..settings import ModelSource, Settings
from ..telemetry.metric_names import ADMITTED_IMAGES, QUEUE_IMAGES, READY, RELOADS, Metric
from .deployment import Deployment
from .kinds import prepare_deployment
from .watching import Look, Watch, look

if TYPE_CHECKING:
    from ..telemetry.logs import Log
    from ..telemetry.metrics import Metrics


class Slots:
    """All models that a server answers for."""

    def __init__(self, settings: Settings, metrics: Metrics, log: Log) -> None:
        """Start empty; `load_all` fills it."""
        self._settings, self._metrics, self._log = settings, metrics, log
        self._by_name: dict[str, Deployment] = {}
        self._source_of: dict[str, ModelSource] = {}
        self._watches: dict[str, Watch] = {}
        self._preparing = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._busy = asyncio.Lock()
        self.loaded = False
        self.usual_seconds = SERVE_TIMEOUT_MS / 1000
        """What a request needs where it waits for others of all models, as many as `SERVE_TIMEOUT_IMAGES` of each."""
        metrics.watch(self._gauges)

    @property
    def deployments(self) -> list[Deployment]:
        """The models in the order they were named."""
        return list(self._by_name.values())

    @property
    def preparing(self) -> bool:
        """Whether a thread loads an artifact, which nothing can interrupt."""
        return self._preparing > 0

    async def load_all(self) -> None:
        """Load every artifact. Raises OvenbirdError of the first that cannot be, StartFailed for a name twice."""
        for source in self._settings.artifacts:
            seen = await asyncio.to_thread(look, source.path)
            deployment = await self._prepare(source)
            if deployment.name in self._by_name:
                deployment.model.close()
                raise StartFailed(f"two artifacts are named {deployment.name}: give one another name (NAME=DIR)")
            self._install(deployment, source, seen)
        self.loaded = True

    def find(self, name: str, version: str | None = None) -> Deployment:
        """Return the model to answer with. Raises UnknownModel, NotReady."""
        deployment = self._by_name.get(name)
        if deployment is None:
            if not self.loaded:
                raise NotReady("the models are being loaded", retry_after=1)
            raise UnknownModel(f"no model {shown(name)} is served here; there are {', '.join(self._by_name)}")
        if version is not None and version != deployment.version:
            raise UnknownModel(f"{name} has version {deployment.version} here, not {shown(version)}")
        if not deployment.healthy:
            raise NotReady(f"{name} is unhealthy: its engine fails or hangs", retry_after=5)
        return deployment

    def describe(self, name: str, version: str | None = None) -> Deployment:
        """Return a model whether it is healthy or not. Raises UnknownModel, NotReady."""
        deployment = self._by_name.get(name)
        if deployment is None or (version is not None and version != deployment.version):
            return self.find(name, version)
        return deployment

    async def reload(self, changed_only: bool = False) -> None:
        """Load artifacts again and swap them in; one that cannot be loaded leaves the old one in place.

        `changed_only` leaves alone those that are as they were, or are just being replaced.
        """
        async with self._busy:
            for name, source in list(self._source_of.items()):
                if changed_only and not await asyncio.to_thread(self._watches[name].due):
                    continue
                seen = await asyncio.to_thread(look, source.path)
                try:
                    deployment = await self._prepare(ModelSource(name, source.path))
                except Exception as error:  # noqa: BLE001 - whatever is wrong with the new one, the old one stays
                    self._watches[name].failed(seen)
                    self._metrics.add(RELOADS, 1, name, "failed")
                    self._log.write(
                        "reload_failed", "error", model=name, error=one_line(str(error)), type=type(error).__name__
                    )
                    continue
                old = self._by_name[name]
                self._install(deployment, source, seen)
                self._metrics.add(RELOADS, 1, name, "swapped")
                self._log.write("reloaded", model=name, version=deployment.version, was=old.version)
                task = asyncio.get_running_loop().create_task(self._retire(old))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def close(self, seconds: float) -> None:
        """Stop all models."""
        for task in list(self._closing):
            task.cancel()
        await asyncio.gather(*(asyncio.to_thread(d.close, seconds) for d in self.deployments))

    async def _prepare(self, source: ModelSource) -> Deployment:
        def work() -> Deployment:
            self._preparing += 1
            try:
                return prepare_deployment(source, self._settings)
            finally:
                self._preparing -= 1

        deployment = await asyncio.to_thread(work)
        set_objects_aside()
        return deployment

    def _install(self, deployment: Deployment, source: ModelSource, seen: Look) -> None:
        deployment.start(self._metrics)
        self._by_name[deployment.name] = deployment
        images = sum(one.slowest_image_seconds for one in self.deployments)
        self.usual_seconds = max(SERVE_TIMEOUT_MS / 1000, SERVE_TIMEOUT_IMAGES * images)
        self._source_of[deployment.name] = source
        self._watches.setdefault(deployment.name, Watch(source.path)).loaded(seen)

    async def _retire(self, old: Deployment) -> None:
        """Let requests that began with `old` end with it."""
        while old.uses:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(old.close, self._settings.drain_seconds)
        del old
        set_objects_aside()

    def _gauges(self) -> list[tuple[Metric, tuple[str, ...], float]]:
        found: list[tuple[Metric, tuple[str, ...], float]] = []
        for deployment in self.deployments:
            labels = (deployment.name,)
            found.append((QUEUE_IMAGES, labels, float(deployment.waiting)))
            found.append((ADMITTED_IMAGES, labels, float(deployment.admission.rows)))
            found.append((READY, labels, float(deployment.healthy)))
        return found
