"""Measuring on other machines, through TVM's own RPC tracker: each device takes one candidate at a time.

    python -m tvm.exec.rpc_tracker --port 9190                                  # somewhere
    python -m tvm.exec.rpc_server --tracker HOST:9190 --key pi4                 # on every device
    ovenbird tune resnet50 --target cortex-a72 --rpc-tracker HOST:9190 --rpc-key pi4

Nothing is built while a device measures, and a device measures one candidate alone; several devices work side by side.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

import numpy as np

from ovenbird.errors import DevicesUnavailable, MeasurementFailed
from ovenbird.measure.arithmetic import CHAINS, multiply_add_operations
from ovenbird.measure.jobs import difference, make_arrays, no_answer
from ovenbird.measure.limits import RPC_SESSION_S, RPC_TIMED_CALLS
from ovenbird.measure.measuring import SEED, Outcome, as_json
from ovenbird.measure.tasks import Task
from ovenbird.targets import TargetSpec
from ovenbird_runtime.console.installing import install_hint
from ovenbird_runtime.tensors.arrays import Array

FLUSH = "cache_flush_cpu_non_first_arg"
"""TVM's own evicter of caches: all arguments but the first, which is the activation."""

FAST_CORES = 1
"""Thread affinity of TVM's thread pool: all cores, the fast ones first."""


class Tracker:
    """A tracker and the key of the devices wanted. Raises DevicesUnavailable where there is none."""

    def __init__(self, address: str, key: str) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise DevicesUnavailable(f"--rpc-tracker {address!r}: expected HOST:PORT, as in 127.0.0.1:9190")
        try:
            from tvm import rpc
        except ImportError as error:
            raise DevicesUnavailable(
                f"RPC needs tornado and cloudpickle ({error}); {install_hint('rpc', '.')}"
            ) from None
        self._address, self._key = (host, int(port)), key
        try:
            socket.create_connection(self._address, timeout=5).close()
            summary = rpc.connect_tracker(host, int(port)).summary()
        except (OSError, RuntimeError) as error:
            raise DevicesUnavailable(f"no RPC tracker answers at {address}: {error}") from None
        servers = [server for server in summary["server_info"] if server["key"] == f"server:{key}"]
        self.devices = len(servers)
        if not servers:
            known = sorted({server["key"].partition(":")[2] for server in summary["server_info"]})
            raise DevicesUnavailable(
                f"the tracker at {address} has no device {key!r}; it has {', '.join(known) or 'none'} (--rpc-key)"
            )

    def request(self) -> tuple[Any, str]:
        """Wait for a free device; return a session on it and its address. The protocol is in `tvm.rpc.tracker`."""
        from tvm import rpc
        from tvm.rpc import base

        with socket.create_connection(self._address, timeout=RPC_SESSION_S * 2) as connection:
            connection.sendall(struct.pack("<i", base.RPC_TRACKER_MAGIC))
            base.recvall(connection, 4)
            base.sendjson(connection, [base.TrackerCode.REQUEST, self._key, "", 1])
            code, answer = base.recvjson(connection)
            if code != base.TrackerCode.SUCCESS:
                raise DevicesUnavailable(f"the tracker refused a device {self._key!r}: {answer}")
            host, port, match_key = answer
        return rpc.connect(host, port, match_key, session_timeout=RPC_SESSION_S), f"{host}:{port}"


class RemoteMeasurer:
    """Measures on every device of a tracker that has the key."""

    def __init__(self, target: TargetSpec, tracker: Tracker) -> None:
        self._target = target
        self._tracker = tracker
        self._prepared: tuple[int, Path] | None = None
        self._arrays: list[Array] = []
        self._references: list[Array] = []

    def __enter__(self) -> RemoteMeasurer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def limit(self, library: Path, lanes: int, cores: int) -> float:
        """Return the arithmetic limit of the device that answers first."""
        with_half = [np.full(lanes, 0.5, "float32"), np.zeros((cores, CHAINS, lanes), "float32")]
        session, _ = self._tracker.request()
        times, _ = self._run(session, library, with_half, outputs=1, calls=20, flush=False)
        return multiply_add_operations(lanes, cores) / min(times)

    def measure(self, task: Task, default: Path, libraries: Sequence[Path], rounds: int) -> list[Outcome]:
        """Return one outcome a library, by whichever device was free."""
        self._prepare(task, default)
        waiting: SimpleQueue[int] = SimpleQueue()
        for index in range(len(libraries)):
            waiting.put(index)
        outcomes: dict[int, Outcome] = {}
        errors: list[Exception] = []

        def work_one(index: int) -> None:
            # its session ends with this call: whoever holds a device while asking for one may wait for ever
            session, device = self._tracker.request()
            outcomes[index] = self._measure_one(session, device, task, libraries[index], rounds)

        def work() -> None:
            try:
                while True:
                    index = waiting.get_nowait()
                    try:
                        work_one(index)
                    except Exception:
                        waiting.put(index)  # another device may be there still
                        raise
            except Empty:
                return
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(min(self._tracker.devices, len(libraries)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors and len(outcomes) < len(libraries):
            raise DevicesUnavailable(f"the devices do not answer any more: {errors[0]}") from errors[0]
        return [outcomes[index] for index in range(len(libraries))]

    def _measure_one(self, session: Any, device: str, task: Task, library: Path, rounds: int) -> Outcome:
        flush = any(argument.constant for argument in task.arguments)
        try:
            times, results = self._run(
                session, library, self._arrays, len(task.outputs), calls=RPC_TIMED_CALLS * rounds, flush=flush
            )
        except Exception as error:  # noqa: BLE001 - whatever a candidate does to its device is its failure
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return Outcome(None, f"running: {lines[-1][:200]}", device)
        wrong = [difference(found, right) for found, right in zip(results, self._references, strict=True)]
        if any(wrong):
            return Outcome(None, "".join(wrong), device)
        return Outcome(statistics.median(times), device=device)

    def _prepare(self, task: Task, default: Path) -> None:
        if self._prepared == (task.index, default):
            return
        outputs = [np.zeros(output.shape, output.dtype) for output in task.outputs]
        self._arrays = [
            *make_arrays([as_json(argument) for argument in task.arguments], SEED),
            *(no_answer(output) for output in outputs),
        ]
        session, device = self._tracker.request()
        try:
            _, self._references = self._run(session, default, self._arrays, len(outputs), calls=1, flush=False)
        except Exception as error:
            raise MeasurementFailed(f"the default schedule of {task.title} failed on {device}: {error}") from error
        self._prepared = (task.index, default)

    def _run(
        self, session: Any, library: Path, arrays: Sequence[Array], outputs: int, calls: int, flush: bool
    ) -> tuple[list[float], list[Array]]:
        """Run a library on a device: the seconds of each call, and what the first call gave."""
        import tvm

        session.get_function("runtime.config_threadpool")(FAST_CORES, self._target.cores)
        name = f"{os.getpid()}_{library.name}"
        session.upload(str(library), name)
        module = session.load_module(name)
        device = session.cpu(0)
        tensors = [tvm.runtime.tensor(array, device) for array in arrays]
        module["main"](*tensors)
        results = [tensor.numpy() for tensor in tensors[len(tensors) - outputs :]]
        timer = module.time_evaluator("main", device, number=1, repeat=calls, f_preproc=FLUSH if flush else "")
        return [float(seconds) for seconds in timer(*tensors).results], results
