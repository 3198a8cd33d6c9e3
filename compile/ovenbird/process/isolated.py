"""Work that may end its process, done in a child: LLVM answers a full disk with `exit`, a linker with a signal.

    run_isolated(lambda: built.export(path), "model.so")

What the child raises on purpose is raised here again; what it dies of becomes DiskFull or BuildFailed.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from ovenbird.errors import BuildFailed, DiskFull
from ovenbird_runtime.errors import OvenbirdError

FULL = ("No space left on device", "File too large", "File size limit exceeded", "Disk quota exceeded")
"""What the C library says where there is no more room."""


def run_isolated(work: Callable[[], None], what: str) -> None:
    """Run `work`, which writes `what`, in a forked child. Raises what it raises, DiskFull, BuildFailed."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python warns of forks where threads run: the child neither takes their locks nor starts new ones
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return
    text, _, pickled = said.partition(b"\0")
    if pickled:
        raise pickle.loads(pickled)
    raise _death(text.decode("utf-8", "replace"), code, what)


def _in_child(work: Callable[[], None], writing: int) -> NoReturn:
    """Do the work; errors go up the pipe, and so does everything that LLVM prints before it ends the process."""
    os.dup2(writing, 2)
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this child
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work()
        code = 0
    except OvenbirdError as error:
        os.write(writing, b"\0" + pickle.dumps(_portable(error)))
    except BaseException as error:  # noqa: BLE001 - nothing may return from here into the parent's code
        os.write(writing, b"\0" + pickle.dumps(BuildFailed(f"{type(error).__name__}: {error}")))
    finally:
        os._exit(code)


def _portable(error: OvenbirdError) -> Any:
    """Return the error without what it was raised from, which need not pickle."""
    return type(error)(str(error))


def _death(text: str, code: int, what: str) -> BuildFailed | DiskFull:
    found = next((reason for reason in FULL if reason in text), None)
    if found is not None or code == -signal.SIGXFSZ:
        return DiskFull(f"no room to write {what} ({found or FULL[2]}); free some space or give another --output")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return BuildFailed(f"the code generator ended while writing {what}: {lines[-1] if lines else ended}")
