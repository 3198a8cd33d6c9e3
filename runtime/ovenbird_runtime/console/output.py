"""Standard output that cannot be written ends a command with one line and exit code 1, not with a traceback.

    end_with_output(command)          # calls it, flushes, exits

A full disk, a closed descriptor, a reader that has gone (`| head -1`, silently): all of them fail at some write, at
the last flush, or when Python flushes once more at its own end, each time with other words. So the streams remember
what failed them; no other error is taken for theirs.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

_FAILED = 1


class _Descriptor(io.FileIO):
    """A standard stream's descriptor, which remembers the first error of writing to it; what goes to standard error
    is no reason to stop.
    """

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = self.failure or error
            if self.fileno() == _STDERR:
                return len(data)
            raise


_STDOUT, _STDERR = 1, 2
_watched: dict[int, _Descriptor] = {}


def end_with_output(command: Callable[[], Any]) -> NoReturn:
    """Call a command and end the process with its code, or with 1 where its output was not written."""
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    _watch_streams()
    code: Any = 0
    try:
        command()
    except SystemExit as end:
        code = end.code
    except OSError as error:
        if not fails(error):
            raise
    _flush(sys.stdout)
    failure = _watched[_STDOUT].failure if _STDOUT in _watched else None
    if failure is not None and code in (0, None):
        code = _FAILED
        if failure.errno != errno.EPIPE:
            print(f"error: OutputNotWritten: standard output: {failure.strerror or failure}", file=sys.stderr)
    _flush(sys.stderr)
    _watched.clear()
    for name, stream in streams.items():
        setattr(sys, name, stream)
    sys.exit(code)


def fails(error: BaseException) -> bool:
    """Return whether an error is that of standard output."""
    return any(error is descriptor.failure for descriptor in _watched.values())


def _watch_streams() -> None:
    """Put the streams on descriptors that remember. One that was closed gets a descriptor to fail at (standard error:
    to be silent at), lest a file or a socket gets its number. No character is unknown to any.
    """
    for name, number, flags in (("stdout", _STDOUT, os.O_RDONLY), ("stderr", _STDERR, os.O_WRONLY)):
        stream: TextIO | None = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue  # a test's, say
        if stream is None:
            opened = os.open(os.devnull, flags)
            if opened == number:
                os.set_inheritable(opened, True)
            else:
                os.dup2(opened, number)
                os.close(opened)
        else:
            stream.flush()
        _watched[number] = _Descriptor(number, "w", closefd=False)
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                io.BufferedWriter(_watched[number]),
                stream.encoding if stream is not None else "utf-8",
                "backslashreplace",
                line_buffering=stream is None or stream.line_buffering or number == _STDERR,
            ),
        )


def _flush(stream: TextIO) -> None:
    """Write what waits; where that fails, forget it, or Python would say so once more at its end."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            stream.flush()
