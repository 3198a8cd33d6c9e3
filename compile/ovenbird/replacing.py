"""Files that are there whole or not at all, whoever reads them or ends the process meanwhile.

with replacing(folder / "bench.json") as partial:
    partial.write_text(report)                     # takes the file's place at the block's end, if that is reached
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden name next to `path` to write to: it takes that file's place in one rename, or is removed.

    Names differ between processes and threads, so that two writers of one file leave that of the later one. What a
    loss of power may take is the writer's to sync. Raises OSError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
