"""Whether there is a new version of an artifact where one was loaded, and whether it is all there.

    watch = Watch(path)
    watch.loaded(look(path))                 # what was served from then on
    if watch.due():                          # every second or so: something else lies there, and nothing moves

A copy may take minutes, in any order, its manifest first or last, with times that are not its own. So a version counts
as there when two looks in a row see the same; one that cannot be loaded is tried again when any of its files changes,
and now and then without. Only the manifest distinguishes versions: whoever touches files changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from ...dataclass import dataclass
from ...errors import OvenbirdError
from ...integrity.files import open_plain, read_up_to
from ...integrity.signatures import signature_name, signers
from ...limits import MAX_FILES, MAX_MANIFEST_BYTES, SERVE_RETRY_MAX_SECONDS, SERVE_RETRY_SECONDS

FileStates = tuple[tuple[str, tuple[int, ...] | None], ...]


@dataclass(frozen=True)
class Look:
    """What lies in an artifact's folder: the manifest's digest (None where there is none), and the state of each file
    that the manifest lists and of each signature.
    """

    version: str | None
    state: FileStates = ()


def look(root: Path) -> Look:
    """Look at an artifact, without reading more than its manifest."""
    try:
        folder = root.resolve()
        descriptor = open_plain(folder, "manifest.json")
        try:
            manifest = read_up_to(descriptor, MAX_MANIFEST_BYTES)
        finally:
            os.close(descriptor)
        names = ["manifest.json", *_listed(manifest), *map(signature_name, signers(folder))]
    except (OSError, OvenbirdError, RuntimeError):
        return Look(None)
    states = tuple((name, _state(folder / name)) for name in names)
    return Look(hashlib.sha256(manifest).hexdigest(), ((str(folder), None), *states))


def _listed(manifest: bytes) -> list[str]:
    """Return the files that a manifest lists; none where it is not whole. It is not trusted here, only looked at."""
    try:
        files = json.loads(manifest)["files"]
        return [name for name in files if isinstance(name, str)][:MAX_FILES]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes with any change to a file: its time of change, which no copy can set, above all."""
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Watch:
    """One artifact's folder, looked at again and again."""

    def __init__(self, path: Path) -> None:
        """Begin with nothing seen."""
        self._path = path
        self._loaded: str | None = None
        self._seen: Look | None = None
        self._failed: Look | None = None
        self._wait, self._again = SERVE_RETRY_SECONDS, 0.0

    def due(self) -> bool:
        """Look, and return whether to load what is there. Blocks as long as the file system does."""
        now = look(self._path)
        still, self._seen = now == self._seen, now
        if now.version in (None, self._loaded) or not still:
            return False
        return now != self._failed or time.monotonic() >= self._again

    def loaded(self, what: Look) -> None:
        """Remember what is served now."""
        self._loaded, self._failed, self._wait = what.version, None, SERVE_RETRY_SECONDS

    def failed(self, what: Look) -> None:
        """Remember what could not be loaded; the same is tried again later and later."""
        self._wait = min(2 * self._wait, SERVE_RETRY_MAX_SECONDS) if what == self._failed else SERVE_RETRY_SECONDS
        self._failed, self._again = what, time.monotonic() + self._wait
