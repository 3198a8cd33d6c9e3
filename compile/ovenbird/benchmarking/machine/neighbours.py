"""Processes that keep processors busy while engines are timed: what a machine is like that others work on, too.

    with busy_neighbours(1, processors=2): ...

Each is one thread that never waits. They may run on the processors that the engines have, and on no others; which of
these they take is for the system to say.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from ovenbird.benchmarking.worker import end_with_parent
from ovenbird.benchmarking.worker_processes import stop
from ovenbird.errors import EngineFailed
from ovenbird.process.children import environment


@contextlib.contextmanager
def busy_neighbours(count: int, processors: int) -> Iterator[None]:
    """Keep `count` threads busy on the first `processors` of this process's processors. Raises EngineFailed."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-m", "ovenbird.benchmarking.machine.neighbours", str(processors)]
            started.append(
                subprocess.Popen(
                    command,
                    env=environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                )
            )
        for process in started:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise EngineFailed(f"a neighbour did not start: it ended with code {process.wait()}")
        yield
    finally:
        for process in started:
            stop(process)
            if process.stdout is not None:
                process.stdout.close()


def main(processors: int) -> None:
    """Say that it begins, and spin until it is ended."""
    end_with_parent()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])
    print("busy", flush=True)
    while True:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]))
