"""The server as a process: its parts put together, its signals, its end.

    from ovenbird_runtime.serve.settings import ModelSource

    exit_code = serve(Settings(artifacts=(ModelSource(None, Path("artifacts/resnet50")),)))

SIGTERM and SIGINT drain, a second one stops at once; SIGHUP loads the artifacts again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact.names import model_name_from
from ..console.installing import install_hint
from ..console.signals import CAUGHT, STOPS
from ..errors import OvenbirdError
from ..limits import SERVE_RESERVED_FILES, SERVE_WATCH_SECONDS
from ..machine.cpu import available_threads
from .app import App
from .context import Context
from .http.account import Account
from .http.errors import StartFailed
from .http.listening import url_host
from .http.server import HttpServer
from .lifecycle import Lifecycle, State
from .memory import keep_memory
from .models.slots import Slots
from .offload import Offload
from .routes.pages import server_gauges
from .settings import Settings
from .telemetry.logs import Log
from .telemetry.metrics import Metrics, open_files

if TYPE_CHECKING:
    from .grpc.server import GrpcServer

_LAST_LINES_SECONDS = 0.1  # in which the log's thread writes what waits


def serve(settings: Settings) -> int:
    """Serve until asked to stop; return the process's exit code. Raises OvenbirdError where it cannot start."""
    CAUGHT.catch()
    keep_memory()
    settings = replace(settings, limits=replace(settings.limits, connections=_connections(settings)))
    code = asyncio.run(Process(settings).run())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Python's own end would let it end the process
    return code


def _connections(settings: Settings) -> int:
    """Return the connections that the descriptors of this process allow, after asking for as many as are wanted."""
    wanted = settings.limits.connections + SERVE_RESERVED_FILES + open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        room = soft - SERVE_RESERVED_FILES - open_files()
        if room < 1:
            raise StartFailed(f"{soft} file descriptors are too few to serve: raise the limit (ulimit -n)")
        return min(settings.limits.connections, room)
    return settings.limits.connections


def _grpc_server(context: Context) -> GrpcServer:
    """Make the server of gRPC, whose libraries are an extra of their own. Raises StartFailed without them."""
    try:
        from .grpc.server import GrpcServer

        return GrpcServer(context)
    except ModuleNotFoundError as error:
        raise StartFailed(f"--grpc-port needs {error.name}: {install_hint('grpc')}") from None


class Process:
    """One running server."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; `run` does the work."""
        self.settings = settings
        self.log = Log()
        self._stops = 0

    async def run(self) -> int:
        """Start, serve, drain. Raises OvenbirdError where it cannot start."""
        loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._hangup = asyncio.Event()
        CAUGHT.listen(functools.partial(self._signal, loop))
        metrics, lifecycle = Metrics(), Lifecycle(self.log)
        slots = Slots(self.settings, metrics, self.log)
        offload = Offload(self.settings.decoders or available_threads())
        account = Account(self.settings.limits)
        context = Context(self.settings, metrics, self.log, slots, offload, lifecycle, account)
        metrics.watch(lambda: server_gauges(context))
        app = App(context)
        server = HttpServer(app.handle, app.refuse, self.settings.limits, account)
        lifecycle.slots = slots
        await server.start(self.settings.host, self.settings.port)
        self.log.write("listening", host=self.settings.host, port=server.port)
        grpc_server = _grpc_server(context) if self.settings.grpc_port is not None else None
        if grpc_server is not None:
            await grpc_server.start(self.settings.host, self.settings.grpc_port or 0)
            self.log.write("listening_grpc", host=self.settings.host, port=grpc_server.port)
        tasks = [loop.create_task(lifecycle.watch_engines())]
        try:
            if await self._load(slots):
                tasks.append(loop.create_task(self._reload_on_hangup(slots)))
                if self.settings.watch:
                    tasks.append(loop.create_task(self._watch(slots)))
                lifecycle.enter(State.READY)
                self._announce(slots, server)
                await self._stopping.wait()
            lifecycle.enter(State.DRAINING)
            drained = server.drain(self.settings.drain_seconds)
            if grpc_server is not None:
                cut = sum(await asyncio.gather(grpc_server.drain(self.settings.drain_seconds), drained))
            else:
                cut = await drained
            await slots.close(self.settings.drain_seconds)
            lifecycle.enter(State.STOPPED)
            if cut:
                self.log.write("cut_off", "warning", connections=cut)
        finally:
            for task in tasks:
                task.cancel()
            offload.close()
            self.log.close()
        if slots.preparing:  # of no use to anybody, and Python would wait for it
            sys.stderr.flush()
            os._exit(0)
        return 0

    async def _load(self, slots: Slots) -> bool:
        """Load the models; False where a signal came first."""
        if self._stops:
            return False
        loading = asyncio.ensure_future(slots.load_all())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not loading.done():
            loading.cancel()
            return False
        try:
            loading.result()
        except OvenbirdError as error:
            self.log.write("start_failed", "error", type=type(error).__name__, error=str(error))
            raise
        return True

    def _announce(self, slots: Slots, server: HttpServer) -> None:
        for deployment in slots.deployments:
            if deployment.model.name != deployment.name == model_name_from(deployment.model.name):
                self.log.write("renamed", "warning", model=deployment.name, manifest=deployment.model.name)
            costs = {str(size): round(cost, 2) for size, cost in sorted(deployment.usual_costs.table.items())}
            self.log.write(
                "model",
                model=deployment.name,
                version=deployment.version,
                target=deployment.model.target.target,
                threads=deployment.model.threads,
                workers=self.settings.workers,
                random_weights=deployment.model.manifest.model.weights.random,
                batch_cost_ms=costs,
                lanes=deployment.usual_costs.lanes.count,
                lane_cost_ms=round(deployment.usual_costs.lanes.cost or 0.0, 2),
            )
        self.log.write("ready", url=f"http://{url_host(self.settings.host)}:{server.port}/", pid=os.getpid())

    def _signal(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        """Hand a signal to the loop. It may have come between any two steps of this very thread, so that no lock that
        these may hold is taken here, the log's among them.
        """
        if number in STOPS:
            self._stops += 1
            if self._stops > 1:
                if self._stops == 2:  # a third one may come in the meantime
                    time.sleep(_LAST_LINES_SECONDS)
                with contextlib.suppress(OSError):
                    os.write(2, self.log.line("stopped_at_once", "warning").encode())
                os._exit(128 + signal.SIGTERM)
        event = self._stopping if number in STOPS else self._hangup
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is about to end
            loop.call_soon_threadsafe(event.set)

    async def _reload_on_hangup(self, slots: Slots) -> None:
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            await slots.reload()

    async def _watch(self, slots: Slots) -> None:
        while True:
            await asyncio.sleep(SERVE_WATCH_SECONDS)
            await slots.reload(changed_only=True)
